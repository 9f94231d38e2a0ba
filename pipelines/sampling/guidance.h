// Classifier-free guidance. Ho and Salimans, "Classifier-Free Diffusion Guidance" (2022); rescale:
// Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed" (2023), section 3.4.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "attention/plan.h"

namespace fovea {

struct Guidance {
  double scale = 1;
  double rescale = 0;
  bool model_is_guided = false;  // the model takes the scale as an input: no second half
  StepRange interval = {};       // of steps that are guided (Kynkäänniemi et al. 2024)

  // As diffusers: only above 1.
  bool Active() const { return scale > 1 && !model_is_guided; }
  bool ActiveAt(int step, int steps) const { return Active() && interval.Holds(step, steps); }
  // Rising, 0 first: the steps at which ActiveAt changes.
  std::vector<int> StepsOfChange(int steps) const;
  // `outputs`: `samples` outputs of the model, or, when active, twice as many, the negative
  // prompt's first. Returns the guided outputs, which overwrite the first half.
  std::span<float> Combine(std::span<float> outputs, size_t samples) const;
};

}  // namespace fovea
