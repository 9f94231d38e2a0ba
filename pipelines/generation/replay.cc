#include "pipelines/generation/replay.h"

#include <algorithm>

namespace fovea {

void StepStore::Keep(const StepView& view) {
  const auto at = std::find_if(steps_.begin(), steps_.end(),
                               [&](const StoredStep& each) { return each.step == view.step; });
  StoredStep step{view.step,
                  {view.latents_in.begin(), view.latents_in.end()},
                  {view.model_output.begin(), view.model_output.end()}};
  if (at == steps_.end()) {
    steps_.push_back(std::move(step));
  } else {
    *at = std::move(step);
  }
}

const StoredStep* StepStore::Find(int step) const {
  const auto at = std::find_if(steps_.begin(), steps_.end(),
                               [&](const StoredStep& each) { return each.step == step; });
  return at == steps_.end() ? nullptr : &*at;
}

size_t StepStore::Bytes() const {
  size_t bytes = 0;
  for (const StoredStep& step : steps_) {
    bytes += (step.latents_in.size() + step.model_output.size()) * sizeof(float);
  }
  return bytes;
}

}  // namespace fovea
