// High resolution: from --hires, the model and the size to what happens at every step.
//
// HiDiffusion (Zhang et al., 2024) for pictures larger than the trained ones: RAU-Net
// (models/unet/raunet.h), and its windows, which are rules of the attention plan like any other.
// docs/hidiffusion.md says what is decided how, and where upstream differs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attention/plans/plan.h"
#include "models/denoiser.h"
#include "pipelines/settings/hires_request.h"

namespace fovea {

// Consecutive steps of one stage.
struct HiresSpan {
  int first = 0, last = 0;  // inclusive
  RaunetStage stage;
};

class Hires {
 public:
  Hires() = default;  // off
  // `text` as ParseHires; height and width are the latent's, `steps` the length of the list of
  // timesteps. Throws kUsage, and kUnsupported where the model has no schedule or not this one.
  Hires(std::string_view text, const DenoiserTraits& traits, int64_t height, int64_t width,
        int steps);

  bool Active() const { return run_.has_value(); }
  bool Windows() const { return windows_; }
  const RaunetRun& Run() const;  // when active
  RaunetStage StageAt(int step) const;
  std::vector<HiresSpan> Spans() const;    // all steps, in order; empty when off
  std::vector<int> StepsOfChange() const;  // rising, 0 first
  AttentionPlan With(
      const AttentionPlan& plan) const;  // its rules first, then those of the windows

 private:
  std::optional<RaunetRun> run_;
  bool windows_ = false;
};

// The rule of HiDiffusion's windows; `arguments` are the operator's: "schedule=upstream".
std::string WindowRule(RaunetSchedule schedule, std::string_view arguments = {});

// Rising, without repetition.
std::vector<int> Merged(std::vector<int> a, const std::vector<int>& b);

}  // namespace fovea
