// Latent consistency models. Luo et al., "Latent Consistency Models" (2023), algorithm 3 and
// section 4.3, as diffusers' LCMScheduler: predict the clean latents, add fresh noise of the next
// level.

#include <algorithm>
#include <cmath>
#include <optional>

#include "pipelines/sampling/schedulers/noise_schedule.h"
#include "pipelines/sampling/schedulers/samplers.h"
#include "pipelines/sampling/schedulers/sigma_schedule.h"
#include "tensor/error.h"

namespace fovea {
namespace {

class Lcm final : public Scheduler {
 public:
  Lcm(const Config& config, const SamplerChoice& choice)
      : schedule_(ReadNoiseSchedule(config, {.spacing = Spacing::kLeading,
                                             .keeps_last_above_zero = false,
                                             .beta_start = 0.00085,
                                             .beta_end = 0.012,
                                             .scaled_linear = true})),
        scaling_(config.Number("timestep_scaling", 10)) {
    if (ReadFlag(config, "thresholding", false)) {
      throw Error(ErrorCode::kUnsupported, config.Where() + ": thresholding is not supported");
    }
    if (ReadFlag(config, "clip_sample", false)) clip_ = config.Number("clip_sample_range", 1.0);
    if (!choice.schedule.empty() && choice.schedule != "model") {
      // Not in diffusers: the levels of the other samplers, as the web UIs have it.
      timesteps_ = SpacedTimesteps(schedule_, choice.steps, true);
      std::erase(timesteps_, -1.0);
      CheckTimesteps(schedule_, timesteps_);
      ramp_ = RampOf(choice.schedule);
      SetAlphas();
      return;
    }
    // The steps that the model was distilled on; sampling takes some of them.
    const int distilled =
        static_cast<int>(config.Int("original_inference_steps", 1, schedule_.train_steps, 50));
    if (choice.steps > distilled) {
      throw Error(ErrorCode::kUsage, "steps: " + std::to_string(choice.steps) +
                                         " with sampler lcm; at most " + std::to_string(distilled) +
                                         ", the model's original_inference_steps");
    }
    const int stride = schedule_.train_steps / distilled;
    for (int i = 0; i < choice.steps; ++i) {
      const auto taken = static_cast<int>(i * (static_cast<double>(distilled) / choice.steps));
      timesteps_.push_back((distilled - taken) * stride - 1);
    }
    SetAlphas();
  }

  std::string_view Name() const override { return "lcm"; }
  std::string_view ScheduleType() const override { return ScheduleName(ramp_); }
  std::span<const double> Timesteps() const override { return timesteps_; }
  double InitNoiseSigma() const override { return 1; }
  void ScaleModelInput(int /*i*/, std::span<float> /*latents*/) const override {}

  void Step(int i, std::span<const float> model_output, std::span<float> latents,
            const DrawNoise& draw) override {
    constexpr double kDataVariance = 0.25;
    const size_t call = static_cast<size_t>(i);
    const double t = timesteps_[call], a = alphas_[call];
    const double signal = std::sqrt(a), noise = std::sqrt(1 - a);
    const double scaled = t * scaling_, norm = scaled * scaled + kDataVariance;
    const double skip = kDataVariance / norm, out = scaled / std::sqrt(norm);
    const bool last = call + 1 == timesteps_.size();
    const double next = last ? 1 : alphas_[call + 1];
    if (!last) {
      drawn_.resize(latents.size());
      draw(drawn_);
    }
    clean_.resize(latents.size());
    for (size_t k = 0; k < latents.size(); ++k) {
      const double x = latents[k], m = model_output[k];
      double clean = m;
      if (schedule_.prediction == PredictionType::kEpsilon) clean = (x - noise * m) / signal;
      if (schedule_.prediction == PredictionType::kV) clean = signal * x - noise * m;
      if (clip_) clean = std::clamp(clean, -*clip_, *clip_);
      clean = out * clean + skip * x;
      clean_[k] = static_cast<float>(clean);
      latents[k] = static_cast<float>(
          last ? clean : std::sqrt(next) * clean + std::sqrt(1 - next) * drawn_[k]);
    }
  }

  std::span<const float> PredictedClean() const override { return clean_; }

  void AddNoise(int i, std::span<const float> noise, std::span<float> latents) const override {
    const double a = alphas_[static_cast<size_t>(i)];
    MixNoise(std::sqrt(a), std::sqrt(1 - a), noise, latents);
  }

 private:
  void SetAlphas() {
    if (ramp_ != SigmaRamp::kNone) {
      for (const double sigma : RampOverTimesteps(ramp_, schedule_, &timesteps_)) {
        alphas_.push_back(1 / (sigma * sigma + 1));
      }
      return;
    }
    for (const double t : timesteps_) {
      alphas_.push_back(schedule_.alphas_cumprod[static_cast<size_t>(t)]);
    }
  }

  NoiseSchedule schedule_;
  SigmaRamp ramp_ = SigmaRamp::kNone;
  double scaling_;
  std::optional<double> clip_;
  std::vector<double> timesteps_, alphas_;
  std::vector<float> clean_, drawn_;
};

}  // namespace

std::unique_ptr<Scheduler> MakeLcm(const Config& config, const SamplerChoice& choice) {
  return std::make_unique<Lcm>(config, choice);
}

}  // namespace fovea
