// The native window: GLFW, OpenGL 3.3 and Dear ImGui, redrawn only when something happened.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "ui/command.h"
#include "ui/snapshot.h"

namespace fovea {

struct WindowOptions {
  // 0: as the last time, else 1440x900; either within the screen's work area.
  int width = 0, height = 0;
  float scale = 0;                                 // of letters and controls; 0: as the screen says
  std::function<void(const Image&)> save_picture;  // F12: of the window; or empty
  std::filesystem::path widgets;  // where the controls are, after each change; or empty
  std::filesystem::path frames;   // times of frames, as CSV; or empty
};

struct NoWindow : std::runtime_error {
  explicit NoWindow(const std::string& why) : std::runtime_error(why) {}
};

// What the window talks to.
struct StudioLink {
  std::function<SnapshotPtr()> current;
  std::function<void(StudioCommand)> post;
};

class Window {
 public:
  // Throws NoWindow where there is no display or no OpenGL 3.3.
  explicit Window(WindowOptions options);
  ~Window();
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  void Run(const StudioLink& link);  // until it is closed, or Close is called
  void Wake();                       // from any thread: there is a new snapshot
  void Close();                      // from any thread

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace fovea
