// Heun. Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models" (2022),
// algorithm 1, as diffusers' HeunDiscreteScheduler: every step but the last calls the model twice,
// an Euler step ahead and the mean slope back.

#include <algorithm>
#include <cmath>
#include <optional>

#include "pipelines/sampling/schedulers/samplers.h"
#include "pipelines/sampling/schedulers/sigma_schedule.h"
#include "tensor/error.h"

namespace fovea {
namespace {

class Heun final : public Scheduler {
 public:
  Heun(const Config& config, const SamplerChoice& choice)
      : schedule_(ReadNoiseSchedule(
            config, {.has_rescale = false, .beta_start = 0.00085, .beta_end = 0.012})) {
    const SigmaOptions options = ReadSigmaOptions(config);
    ramp_ = options.ramp;
    if (ReadFlag(config, "clip_sample", false)) clip_ = config.Number("clip_sample_range", 1.0);

    std::vector<double> steps = SpacedTimesteps(schedule_, choice.steps, false);
    const std::vector<float> table = TrainingSigmas(schedule_), log_table = Logs(table);
    std::vector<double> sigmas = SigmasAt(table, steps);
    if (ramp_ != SigmaRamp::kNone) {
      sigmas = RampSigmas(ramp_, options.max.value_or(sigmas.front()),
                          options.min.value_or(sigmas.back()), choice.steps);
      steps.clear();
      for (const double sigma : sigmas) steps.push_back(TimestepAt(sigma, log_table));
    }
    for (size_t i = 0; i < steps.size(); ++i) {
      const int calls = i == 0 ? 1 : 2;  // the second call of the step before, the first of this
      timesteps_.insert(timesteps_.end(), static_cast<size_t>(calls), static_cast<float>(steps[i]));
      sigmas_.insert(sigmas_.end(), static_cast<size_t>(calls), static_cast<float>(sigmas[i]));
    }
    sigmas_.push_back(0);
    init_sigma_ = FirstSigma(schedule_, sigmas_);
  }

  std::string_view Name() const override { return "heun"; }
  std::string_view ScheduleType() const override { return ScheduleName(ramp_); }
  std::span<const double> Timesteps() const override { return timesteps_; }
  int CallsPerStep() const override { return 2; }
  double InitNoiseSigma() const override { return init_sigma_; }

  void ScaleModelInput(int i, std::span<float> latents) const override {
    ScaleBySigma(sigmas_[static_cast<size_t>(i)], latents);
  }

  void Step(int i, std::span<const float> model_output, std::span<float> latents,
            const DrawNoise& /*draw*/) override {
    const size_t call = static_cast<size_t>(i);
    const float sigma = sigmas_[call];
    // In f32 and in diffusers' order, as PredictClean.
    PredictClean(schedule_.prediction, sigma, model_output, latents, clean_);
    if (clip_) {
      const auto range = static_cast<float>(*clip_);
      for (float& x : clean_) x = std::clamp(x, -range, range);
    }
    if (call % 2 == 0) {
      const float dt = sigmas_[call + 1] - sigma;
      begin_.assign(latents.begin(), latents.end());
      slope_.resize(latents.size());
      for (size_t k = 0; k < latents.size(); ++k) {
        slope_[k] = (latents[k] - clean_[k]) / sigma;
        latents[k] += slope_[k] * dt;
      }
    } else {
      const float dt = sigma - sigmas_[call - 1];
      for (size_t k = 0; k < latents.size(); ++k) {
        const float slope = (slope_[k] + (latents[k] - clean_[k]) / sigma) / 2;
        latents[k] = begin_[k] + slope * dt;
      }
    }
  }

  std::span<const float> PredictedClean() const override { return clean_; }

  void AddNoise(int i, std::span<const float> noise, std::span<float> latents) const override {
    AddSigmaNoise(sigmas_[static_cast<size_t>(i)], noise, latents);
  }

 private:
  NoiseSchedule schedule_;
  SigmaRamp ramp_ = SigmaRamp::kNone;
  std::optional<double> clip_;
  std::vector<double> timesteps_;  // one a call
  std::vector<float> sigmas_;      // at each call, and zero
  double init_sigma_ = 1;
  std::vector<float> clean_, begin_, slope_;  // of the step in progress
};

}  // namespace

std::unique_ptr<Scheduler> MakeHeun(const Config& config, const SamplerChoice& choice) {
  return std::make_unique<Heun>(config, choice);
}

}  // namespace fovea
