// Differences to eight directions at growing radii, each from a picture blurred to match.
#include "tools/evaluate/pixel_features.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace fovea::evaluate {
namespace {

constexpr int kDirections = 8;
constexpr float kRadius[] = {3, 7, 14, 26, 44};
constexpr float kBlur[] = {0.8f, 1.6f, 3, 5, 8};
constexpr int kRings = 5;
constexpr int kMargin = 7;  // rows and columns at the frame's edge that tell the background

cv::Vec3f Median(std::vector<cv::Vec3f>* values) {
  cv::Vec3f median;
  for (int c = 0; c < 3; ++c) {
    auto middle = values->begin() + values->size() / 2;
    std::nth_element(values->begin(), middle, values->end(),
                     [c](const cv::Vec3f& a, const cv::Vec3f& b) { return a[c] < b[c]; });
    median[c] = (*middle)[c];
  }
  return median;
}

float* Put(const cv::Vec3f& v, float* out) {
  for (int c = 0; c < 3; ++c) *out++ = v[c];
  return out;
}

}  // namespace

int PixelFeatureCount() {
  return 3 + 3 * kDirections * kRings + 4 * 3 + 2;
}

PixelFeatures::PixelFeatures(const cv::Mat& picture) {
  cv::Mat scaled;
  picture.convertTo(scaled, CV_32FC3, 1.0 / 255);
  cv::cvtColor(scaled, lab_, cv::COLOR_RGB2Lab);
  lab_ *= 0.01f;
  cv::GaussianBlur(lab_, lab_, {0, 0}, 0.7);
  for (int i = 0; i < kRings; ++i) {
    cv::Mat blurred;
    cv::GaussianBlur(lab_, blurred, {0, 0}, kBlur[i], kBlur[i], cv::BORDER_REPLICATE);
    blurred_.push_back(blurred);
  }
  std::vector<cv::Vec3f> table, wall;
  const int width = lab_.cols, height = lab_.rows;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const bool side = x < kMargin || x >= width - kMargin;
      if (y < kMargin) wall.push_back(lab_.at<cv::Vec3f>(y, x));
      if (y >= height - kMargin || (side && y > height * 2 / 3)) {
        table.push_back(lab_.at<cv::Vec3f>(y, x));
      }
    }
  }
  table_ = Median(&table);
  wall_ = Median(&wall);
}

void PixelFeatures::At(int column, int row, float* out) const {
  const int x = column * kStride, y = row * kStride, width = lab_.cols, height = lab_.rows;
  const cv::Vec3f own = lab_.at<cv::Vec3f>(y, x);
  out = Put(own, out);
  for (int ring = 0; ring < kRings; ++ring) {
    for (int d = 0; d < kDirections; ++d) {
      const float angle = 6.2831853f * d / kDirections;
      const int u = std::clamp(static_cast<int>(std::lround(x + kRadius[ring] * std::cos(angle))),
                               0, width - 1);
      const int v = std::clamp(static_cast<int>(std::lround(y + kRadius[ring] * std::sin(angle))),
                               0, height - 1);
      out = Put(blurred_[ring].at<cv::Vec3f>(v, u) - own, out);
    }
  }
  out = Put(table_, out);
  out = Put(wall_, out);
  out = Put(own - table_, out);
  out = Put(own - wall_, out);
  *out++ = static_cast<float>(x) / width;
  *out++ = static_cast<float>(y) / height;
}

}  // namespace fovea::evaluate
