// Noise levels of flow matching, where latents are x = (1 - sigma) * clean + sigma * noise.
//
// Esser et al., "Scaling Rectified Flow Transformers for High-Resolution Image Synthesis" (2024),
// section 5.3.2: the shift by resolution; fields and numerics are those of diffusers'
// FlowMatchEulerDiscreteScheduler.
#pragma once

#include <span>
#include <vector>

#include "pipelines/sampling/scheduler.h"
#include "pipelines/sampling/schedulers/sigma_schedule.h"

namespace fovea {

struct FlowLevels {
  SigmaRamp ramp = SigmaRamp::kNone;
  bool inverted = false;          // sigmas rise to 1 and stand for what is clean
  std::vector<float> sigmas;      // one a step, and the last
  std::vector<double> timesteps;  // one a step; f32 values
};

// The levels of a scheduler_config.json. `shifts_only`: fields that FlowMatchHeunDiscreteScheduler
// lacks (ramps, shift_terminal, invert_sigmas) count only as far as choice.schedule asks for them.
FlowLevels ReadFlowLevels(const Config& config, const SamplerChoice& choice, bool shifts_only);

// The shift of sigma / (1 - sigma), as a factor: the chosen one, which is never dynamic; else the
// config's, of the picture's size where use_dynamic_shifting says so. It is called shift, or
// flow_shift in other classes.
double FlowShift(const Config& config, const SamplerChoice& choice);

// Clean latents with noise.
void MixFlowNoise(float sigma, std::span<const float> noise, std::span<float> latents);

// Clean latents from a predicted velocity (noise - clean).
void PredictCleanOfFlow(float sigma, std::span<const float> velocity,
                        std::span<const float> latents, std::vector<float>& clean);

// Whether a scheduler config is one of flow matching, whatever its class.
bool IsFlowMatching(const Config& config);

}  // namespace fovea
