#include "pipelines/maps/heat_map.h"

#include <algorithm>

#include <opencv2/imgproc.hpp>

#include "tensor/error.h"

namespace fovea {
namespace {

HeatMap Resized(const HeatMap& map, int height, int width, int how) {
  ENSURE(map.height > 0 && map.width > 0 && height > 0 && width > 0);
  if (height == map.height && width == map.width) return map;
  HeatMap out{height, width, std::vector<float>(static_cast<size_t>(height) * width)};
  // OpenCV only reads from a source.
  const cv::Mat from(map.height, map.width, CV_32F, const_cast<float*>(map.values.data()));
  cv::Mat to(height, width, CV_32F, out.values.data());
  cv::resize(from, to, to.size(), 0, 0, how);
  return out;
}

}  // namespace

float HeatMap::Min() const {
  return *std::min_element(values.begin(), values.end());
}

float HeatMap::Max() const {
  return *std::max_element(values.begin(), values.end());
}

HeatMap ResizeBicubic(const HeatMap& map, int height, int width) {
  return Resized(map, height, width, cv::INTER_CUBIC);
}

HeatMap ResizeBilinear(const HeatMap& map, int height, int width) {
  return Resized(map, height, width, cv::INTER_LINEAR);
}

HeatMap ResizeNearest(const HeatMap& map, int height, int width) {
  return Resized(map, height, width, cv::INTER_NEAREST_EXACT);
}

}  // namespace fovea
