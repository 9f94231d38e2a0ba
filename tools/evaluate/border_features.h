// What the border classifier sees: the shading around a pixel and the outline of its colour's
// region, which tell where one object ends and another of the same colour begins.
#pragma once

#include <opencv2/core.hpp>

namespace fovea::evaluate {

int BorderFeatureCount();

class BorderFeatures {
 public:
  // `lab` as in PixelFeatures, `labels` the pixel labels.
  BorderFeatures(const cv::Mat& lab, const cv::Mat& labels);

  // BorderFeatureCount() values for pixel (x, y), which must not be background.
  void At(int x, int y, float* out) const;

 private:
  cv::Mat lightness_, smooth_, labels_;
};

}  // namespace fovea::evaluate
