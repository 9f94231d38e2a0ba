// How often the observer is wrong about scenes whose contents are known.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/evaluate/observer.h"
#include "tools/evaluate/training.h"

namespace fovea::evaluate {

struct ErrorRates {
  std::string name;
  Wear wear;
  int singles = 0, single_color = 0, single_shape = 0, single_count = 0, single_any = 0;
  int pairs = 0, pair_color = 0, pair_shape = 0, pair_count = 0, pair_relation = 0, pair_any = 0;
  // Groups of two or three identical objects.
  int groups = 0, group_count = 0, group_any = 0;
};

struct Exam {
  int scenes = 0;  // of each kind: single, pair with relation, group
  uint64_t seed = 0;
  int width = 128, height = 128;  // of the pictures
};

// Judges sharp, soft and grainy pictures of the exam's scenes.
std::vector<ErrorRates> SelfTest(const Observer& observer, const Exam& exam, int threads);

std::string Report(const std::vector<ErrorRates>& rates, bool json);

}  // namespace fovea::evaluate
