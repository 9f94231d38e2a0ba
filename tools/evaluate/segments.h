// Pieces of a picture that have one colour and no border between objects inside.
#pragma once

#include <opencv2/core.hpp>
#include <vector>

#include "tools/evaluate/layers.h"
#include "tools/evaluate/pixel_features.h"

namespace fovea::evaluate {

// Labels of pixels: 0 background, 1 + scenes::Color.
inline constexpr int kPixelLabels = 9;

struct Segment {
  int color = 0;  // scenes::Color
  cv::Mat mask;   // 8-bit, 0 or 1, kPictureSize square
  int pixels = 0;
};

struct LabelMap {
  cv::Mat labels;  // 8-bit
  cv::Mat border;  // float, probability that two objects of one colour meet here
};

// The labels alone; `border` stays empty.
LabelMap LabelPixels(const Perceptron& pixels, const PixelFeatures& features);

void FindBorders(const Perceptron& borders, const PixelFeatures& features, LabelMap* map);

// Splits generously: an object may come as several segments, one segment hardly ever holds two.
std::vector<Segment> FindSegments(const LabelMap& map);

}  // namespace fovea::evaluate
