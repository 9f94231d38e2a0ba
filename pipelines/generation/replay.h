// Any step of a finished run again: what was not looked at then can be looked at now.
//
// The latents that each step began with are all that is kept (a few hundred KB a step at most); the
// network runs once more on them, listeners attached, and must give what it gave then, to the last
// bit.
#pragma once

#include <vector>

#include "pipelines/sampling/denoise_loop.h"

namespace fovea {

// One step of a run; host copies of StepView's.
struct StoredStep {
  int step = 0;
  std::vector<float> latents_in;    // (n,c,h,w)
  std::vector<float> model_output;  // after guidance
};

// Collects a run's steps: its Keep is a GenerateHooks::on_step, or is called by one.
class StepStore {
 public:
  void Keep(const StepView& view);
  const StoredStep* Find(int step) const;  // null: not kept
  size_t Bytes() const;

 private:
  std::vector<StoredStep> steps_;
};

}  // namespace fovea
