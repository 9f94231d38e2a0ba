// libpng's simplified interface; transparency is laid over black.
#include "tools/evaluate/picture_file.h"

#include <png.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>

namespace fovea::evaluate {

cv::Mat ReadPng(const std::string& path) {
  constexpr png_uint_32 kMaxSide = 16384;
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_file(&image, path.c_str())) {
    throw std::runtime_error("cannot read picture " + path + ": " + image.message);
  }
  if (image.width > kMaxSide || image.height > kMaxSide) {
    png_image_free(&image);
    throw std::runtime_error("cannot read picture " + path + ": larger than 16384 pixels a side");
  }
  image.format = PNG_FORMAT_RGB;
  cv::Mat picture(static_cast<int>(image.height), static_cast<int>(image.width), CV_8UC3);
  const png_color black{};
  if (!png_image_finish_read(&image, &black, picture.data, 0, nullptr)) {
    const std::string reason = image.message;
    png_image_free(&image);
    throw std::runtime_error("cannot read picture " + path + ": " + reason);
  }
  return picture;
}

void WritePng(const std::string& path, const cv::Mat& picture) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(picture.cols);
  image.height = static_cast<png_uint_32>(picture.rows);
  image.format = PNG_FORMAT_RGB;
  if (!png_image_write_to_file(&image, path.c_str(), 0, picture.data, 0, nullptr)) {
    throw std::runtime_error("cannot write picture " + path + ": " + image.message);
  }
}

std::vector<std::string> ListPictures(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    if (!std::filesystem::is_directory(path)) {
      files.push_back(path);
      continue;
    }
    const size_t first = files.size();
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      if (entry.path().extension() == ".png") files.push_back(entry.path().string());
    }
    std::sort(files.begin() + first, files.end());
  }
  return files;
}

}  // namespace fovea::evaluate
