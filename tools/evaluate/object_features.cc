// A square around the object, resampled to kSide x kSide cells in three planes, plus its extent.
#include "tools/evaluate/object_features.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace fovea::evaluate {
namespace {

constexpr int kSide = 20;
constexpr int kPlanes = 3;
constexpr int kExtras = 5;

}  // namespace

int ObjectFeatureCount() {
  return kPlanes * kSide * kSide + kExtras;
}

std::vector<float> ObjectFeatures(const cv::Mat& mask, const cv::Mat& labels, const cv::Mat& lab) {
  const cv::Rect box = cv::boundingRect(mask);
  const float side = std::max(box.width, box.height) * 1.12f;
  const float left = box.x + box.width / 2.0f - side / 2,
              top = box.y + box.height / 2.0f - side / 2;
  cv::Mat lightness, own, other;
  cv::extractChannel(lab, lightness, 0);
  mask.convertTo(own, CV_32F);
  cv::Mat((labels > 0) & (mask == 0)).convertTo(other, CV_32F, 1.0 / 255);
  const cv::Scalar mean = cv::mean(lightness, mask);
  cv::Mat shading = (lightness - mean[0]).mul(own);
  const double deviation =
      std::sqrt(cv::mean(shading.mul(shading), mask)[0]) + 0.02;  // flat ones stay flat
  shading /= deviation;

  const float scale = side / kSide;
  const cv::Matx23f from_cells(scale, 0, left + scale / 2 - 0.5f, 0, scale, top + scale / 2 - 0.5f);
  std::vector<float> features;
  features.reserve(ObjectFeatureCount());
  for (cv::Mat plane : {own, shading, other}) {
    if (scale > 1.3f) cv::GaussianBlur(plane, plane, {0, 0}, 0.4 * scale);
    cv::Mat cells;
    cv::warpAffine(plane, cells, from_cells, {kSide, kSide},
                   cv::INTER_LINEAR | cv::WARP_INVERSE_MAP, cv::BORDER_CONSTANT, 0);
    features.insert(features.end(), cells.begin<float>(), cells.end<float>());
  }
  const float area = static_cast<float>(cv::countNonZero(mask));
  features.push_back(box.width / side);
  features.push_back(box.height / side);
  features.push_back(area / (side * side));
  features.push_back(std::log(side));
  features.push_back(static_cast<float>(deviation));
  return features;
}

std::vector<float> Mirrored(const std::vector<float>& features) {
  std::vector<float> mirrored = features;
  for (int row = 0; row < kPlanes * kSide; ++row) {
    std::reverse(mirrored.begin() + row * kSide, mirrored.begin() + (row + 1) * kSide);
  }
  return mirrored;
}

}  // namespace fovea::evaluate
