// What the pixel classifier sees: a pixel's colour against its surroundings near and far.
#pragma once

#include <opencv2/core.hpp>
#include <vector>

namespace fovea::evaluate {

inline constexpr int kPictureSize = 128;  // pictures of other sizes are resampled to this
inline constexpr int kStride = 2;         // features stand on every second pixel
inline constexpr int kGrid = kPictureSize / kStride;

int PixelFeatureCount();

// All that is computed once a picture. `picture` is 8-bit RGB, kPictureSize square.
class PixelFeatures {
 public:
  explicit PixelFeatures(const cv::Mat& picture);

  // PixelFeatureCount() values for cell (column, row) of the kGrid x kGrid grid.
  void At(int column, int row, float* out) const;

  const cv::Mat& Lab() const { return lab_; }  // float, L a b divided by 100, lightly smoothed

 private:
  cv::Mat lab_;
  std::vector<cv::Mat> blurred_;  // one a radius
  cv::Vec3f table_, wall_;
};

}  // namespace fovea::evaluate
