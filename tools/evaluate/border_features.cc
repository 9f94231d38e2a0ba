// A fine patch of lightness, and coarse patches of lightness and outline.
#include "tools/evaluate/border_features.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>

namespace fovea::evaluate {
namespace {

constexpr int kFine = 6;  // cells to either side of the pixel
constexpr int kCoarse = 7, kCoarseStep = 3;

constexpr int Square(int x) {
  return x * x;
}

}  // namespace

int BorderFeatureCount() {
  return Square(2 * kFine + 1) + 2 * Square(2 * kCoarse + 1);
}

BorderFeatures::BorderFeatures(const cv::Mat& lab, const cv::Mat& labels) : labels_(labels) {
  cv::extractChannel(lab, lightness_, 0);
  cv::GaussianBlur(lightness_, smooth_, {0, 0}, 1.3);
}

void BorderFeatures::At(int x, int y, float* out) const {
  const int width = lightness_.cols, height = lightness_.rows;
  const float own = lightness_.at<float>(y, x);
  for (int v = y - kFine; v <= y + kFine; ++v) {
    const float* row = lightness_.ptr<float>(std::clamp(v, 0, height - 1));
    for (int u = x - kFine; u <= x + kFine; ++u) *out++ = row[std::clamp(u, 0, width - 1)] - own;
  }
  const uint8_t label = labels_.at<uint8_t>(y, x);
  for (int j = -kCoarse; j <= kCoarse; ++j) {
    const int v = std::clamp(y + j * kCoarseStep, 0, height - 1);
    const float* row = smooth_.ptr<float>(v);
    const uint8_t* label_row = labels_.ptr<uint8_t>(v);
    for (int i = -kCoarse; i <= kCoarse; ++i) {
      const int u = std::clamp(x + i * kCoarseStep, 0, width - 1);
      const bool inside = label_row[u] == label;
      *out++ = inside ? row[u] - own : 0.0f;
      *out++ = inside ? 1.0f : 0.0f;
    }
  }
}

}  // namespace fovea::evaluate
