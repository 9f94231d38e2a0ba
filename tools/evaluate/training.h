// Teaches an Observer on scenes rendered for it, as sharp, soft and grainy pictures.
#pragma once

#include <cstdint>

#include "tools/evaluate/observer.h"

namespace fovea::evaluate {

struct LessonPlan {
  int pixel_scenes = 1000;
  int border_scenes = 600;
  int shape_scenes = 1800;
  uint64_t seed = 0x6F62736572766572ull;  // unlike any seed of training or test data
  int threads = 1;
};

Observer TrainObserver(const LessonPlan& plan);

// Softens and roughens a picture as a small image model might. Deterministic.
struct Wear {
  float blur = 0;   // sigma in pixels
  float noise = 0;  // standard deviation in 8-bit steps
};
cv::Mat Worn(const cv::Mat& picture, Wear wear, uint64_t seed, uint64_t stream);

}  // namespace fovea::evaluate
