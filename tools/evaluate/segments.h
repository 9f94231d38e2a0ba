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
  cv::Mat mask;  // 8-bit, 0 or 1, as large as the picture
  int pixels = 0;
};

struct LabelMap {
  cv::Mat labels;  // 8-bit, as large as the picture
  cv::Mat border;  // float, probability that two objects of one colour meet here
};

// The labels alone; `border` stays empty.
LabelMap LabelPixels(const Perceptron& pixels, const PixelFeatures& features);

void FindBorders(const Perceptron& borders, const PixelFeatures& features, LabelMap* map);

// Connected regions of one colour that are not tiny, of all colours.
int CountPieces(const LabelMap& map);

// Ways to cut the region of one colour (scenes::Color) into segments, from uncut to finely cut,
// each with another number of segments. A border with gaps still cuts where the gaps are narrow.
using Cut = std::vector<Segment>;
std::vector<Cut> FindCuts(const LabelMap& map, int color);

}  // namespace fovea::evaluate
