// What tests and measurements are told of the window: where its controls are, how long frames took.
#pragma once

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

// Lines "time,work,interval,computing": seconds since the start, milliseconds from waking up to
// the frame being on the screen, milliseconds since the last frame was, whether a picture is made.
class FrameFile {
 public:
  explicit FrameFile(const std::filesystem::path& file);
  void Write(double time, double work_ms, double interval_ms, bool computing);

 private:
  std::ofstream out_;
};

}  // namespace fovea
