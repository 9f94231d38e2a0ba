// What tests and measurements are told of the window: where its controls are, how long frames took.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "ui/frame.h"

namespace fovea {

// Lines "NAME<tab>x y width height" of controls and "=NAME<tab>value" of what the studio knows.
class WidgetFile {
 public:
  explicit WidgetFile(std::filesystem::path file) : file_(std::move(file)) {}
  bool On() const { return !file_.empty(); }
  // Written under a temporary name and renamed, when anything in it changed.
  void Write(const WidgetMap& widgets, const Snapshot& snapshot, const UiState& state);

 private:
  std::filesystem::path file_;
  std::string written_;
};

struct FrameTime {
  double begin = 0;        // seconds since the start
  double work_ms = 0;      // from waking up to the frame being on the screen
  double interval_ms = 0;  // from the last frame's beginning to this one's
  bool computing = false;  // a picture is being made
  int64_t pixels = 0;      // that were drawn again
};
// One line a frame.
class FrameFile {
 public:
  explicit FrameFile(const std::filesystem::path& file);
  void Write(const FrameTime& frame);

 private:
  std::ofstream out_;
};

}  // namespace fovea
