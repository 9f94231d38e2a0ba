// PNG files of 8-bit RGB.
#pragma once

#include <opencv2/core.hpp>
#include <string>
#include <vector>

namespace fovea::evaluate {

// Throws std::runtime_error with the path and the reason.
cv::Mat ReadPng(const std::string& path);

// Replaces the file. Throws std::runtime_error.
void WritePng(const std::string& path, const cv::Mat& picture);

// The files as they are, and the *.png of folders in the order of their names.
std::vector<std::string> ListPictures(const std::vector<std::string>& paths);

}  // namespace fovea::evaluate
