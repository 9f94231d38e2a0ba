// What the pixel classifier sees: a pixel's colour against its surroundings near and far.
#pragma once

#include <opencv2/core.hpp>
#include <vector>

namespace fovea::evaluate {

inline constexpr int kShortSide = 128;  // pictures are resampled so that this is their shorter side
inline constexpr int kStride = 2;       // features stand on every second pixel

int PixelFeatureCount();

// All that is computed once a picture. `picture` is 8-bit RGB, its shorter side kShortSide.
class PixelFeatures {
 public:
  explicit PixelFeatures(const cv::Mat& picture);

  // Cells of the grid; (column, row) stands at pixel (kStride column, kStride row).
  int Columns() const { return (lab_.cols + kStride - 1) / kStride; }
  int Rows() const { return (lab_.rows + kStride - 1) / kStride; }

  // PixelFeatureCount() values for cell (column, row).
  void At(int column, int row, float* out) const;

  const cv::Mat& Lab() const { return lab_; }  // float, L a b divided by 100, lightly smoothed

 private:
  cv::Mat lab_;
  std::vector<cv::Mat> blurred_;  // one a radius
  cv::Vec3f table_, wall_;
};

}  // namespace fovea::evaluate
