// A contact sheet: pictures with their prompts, framed green where they are right.
#pragma once

#include <opencv2/core.hpp>
#include <string>
#include <vector>

namespace fovea::evaluate {

struct SheetEntry {
  cv::Mat picture;  // 8-bit RGB
  std::string prompt;
  bool right = false;
};

cv::Mat MakeSheet(const std::vector<SheetEntry>& entries, int columns);

}  // namespace fovea::evaluate
