// What the shape classifier sees: silhouette, shading and what stands in front, at a fixed size.
#pragma once

#include <opencv2/core.hpp>
#include <vector>

namespace fovea::evaluate {

int ObjectFeatureCount();

// `mask` is the object, `labels` the picture's pixel labels (other objects may hide a part of it),
// `lab` the picture. Masks are 8-bit with 0 and 1.
std::vector<float> ObjectFeatures(const cv::Mat& mask, const cv::Mat& labels, const cv::Mat& lab);

// The same of the picture seen in a mirror.
std::vector<float> Mirrored(const std::vector<float>& features);

}  // namespace fovea::evaluate
