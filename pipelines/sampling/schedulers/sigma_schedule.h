// Noise levels of the samplers that count in sigma: interpolated, Karras, exponential, beta.
//
// Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models" (2022),
// equation 5; Lee et al., "Beta Sampling is All You Need" (2024), both shapes 0.6; fields and
// numerics are those of diffusers' schedulers.
#pragma once

#include <cmath>
#include <optional>
#include <span>
#include <vector>

#include "pipelines/sampling/schedulers/noise_schedule.h"

namespace fovea {

enum class SigmaRamp : uint8_t { kNone, kKarras, kExponential, kBeta };

std::string_view ScheduleName(SigmaRamp ramp);  // as Scheduler::ScheduleType

// A noise level of samplers whose latents are x = alpha * clean + sigma * noise; `ratio` is
// sigma / alpha.
struct NoiseLevel {
  explicit NoiseLevel(double ratio)
      : NoiseLevel(1 / std::sqrt(ratio * ratio + 1), ratio / std::sqrt(ratio * ratio + 1)) {}
  NoiseLevel(double signal, double noise)
      : alpha(signal), sigma(noise), lambda(std::log(alpha) - std::log(sigma)) {}
  double alpha, sigma, lambda;
};

struct SigmaOptions {
  SigmaRamp ramp = SigmaRamp::kNone;
  std::optional<double> min, max;  // of the ramp; none: the ends of the schedule
  bool ends_at_zero = true;        // final_sigmas_type
};
SigmaOptions ReadSigmaOptions(const Config& config);

// Steps `count` noise levels from max down to min along the ramp.
std::vector<double> RampSigmas(SigmaRamp ramp, double max, double min, int count);

// Of choice.schedule; kNone for the others.
SigmaRamp RampOf(std::string_view schedule);

// The noise levels of a ramp between those of the spaced timesteps, which become the levels' own:
// for samplers whose configs know no ramps. Throws kUnsupported where the first level is infinite.
std::vector<double> RampOverTimesteps(SigmaRamp ramp, const NoiseSchedule& schedule,
                                      std::vector<double>* timesteps);

// One timestep more than asked for, the lowest left out (it is the final sigma's): DPM-Solver's and
// UniPC's way. `last`: training steps that count.
std::vector<double> SpacedForSolver(const NoiseSchedule& schedule, int last, int steps);

// Sigmas of the training steps at fractional timesteps; beyond the ends, the ends.
std::vector<double> SigmasAt(std::span<const float> table, std::span<const double> timesteps);

// Unit noise times this is the first latents of samplers whose latents are clean + sigma * noise.
double FirstSigma(const NoiseSchedule& schedule, std::span<const float> sigmas);
// Their latents as the model wants them, and clean latents with noise.
void ScaleBySigma(float sigma, std::span<float> latents);
void AddSigmaNoise(double sigma, std::span<const float> noise, std::span<float> latents);

std::vector<float> Logs(std::span<const float> values);  // f32, as NumPy's
// The fractional timestep of a noise level, linear in log sigma.
double TimestepAt(double sigma, std::span<const float> log_table);

// The clean latents at noise level sigma, where x = clean + sigma * noise. In f32, each operation
// in diffusers' order: where sigma is in the thousands (zero terminal signal, cosine betas),
// latents cancel to their last bits, and only the same roundings give the same picture.
void PredictClean(PredictionType prediction, float sigma, std::span<const float> model_output,
                  std::span<const float> latents, std::vector<float>& clean);

}  // namespace fovea
