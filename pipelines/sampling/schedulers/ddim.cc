// DDIM. Song et al., "Denoising Diffusion Implicit Models" (2021), equations 12 and 16.

#include <algorithm>
#include <cmath>
#include <optional>

#include "pipelines/sampling/schedulers/noise_schedule.h"
#include "pipelines/sampling/schedulers/samplers.h"
#include "pipelines/sampling/schedulers/sigma_schedule.h"
#include "tensor/error.h"

namespace fovea {
namespace {

class Ddim final : public Scheduler {
 public:
  Ddim(const Config& config, const SamplerChoice& choice)
      : schedule_(ReadNoiseSchedule(
            config, {.spacing = Spacing::kLeading, .keeps_last_above_zero = false})),
        stride_(schedule_.train_steps / choice.steps),
        eta_(choice.eta),
        timesteps_(SpacedTimesteps(schedule_, choice.steps, true)) {
    if (ReadFlag(config, "thresholding", false)) {
      throw Error(ErrorCode::kUnsupported, config.Where() + ": thresholding is not supported");
    }
    final_alpha_ = ReadFlag(config, "set_alpha_to_one", true) ? 1.0 : schedule_.alphas_cumprod[0];
    const double range = config.Number("clip_sample_range", 1.0);
    if (ReadFlag(config, "clip_sample", true)) clip_ = range;
    if (!(eta_ >= 0 && eta_ <= 1)) throw Error(ErrorCode::kUsage, "eta: must lie between 0 and 1");
    // NumPy's arange overshoots for some numbers of trailing steps; -1 is no timestep.
    std::erase(timesteps_, -1.0);
    CheckTimesteps(schedule_, timesteps_);
    if (schedule_.prediction == PredictionType::kEpsilon && Alpha(timesteps_[0]) == 0) {
      throw Error(ErrorCode::kUnsupported,
                  config.Where() +
                      ": prediction_type epsilon says nothing at zero signal to noise; "
                      "rescale_betas_zero_snr with this timestep_spacing needs v_prediction");
    }
    // Not in diffusers: the same step between the levels of a ramp, down to none, as ComfyUI does.
    ramp_ = RampOf(choice.schedule);
    if (ramp_ != SigmaRamp::kNone) {
      for (const double sigma : RampOverTimesteps(ramp_, schedule_, &timesteps_)) {
        alphas_.push_back(1 / (sigma * sigma + 1));
      }
      alphas_.push_back(1);
      return;
    }
    for (const double t : timesteps_) alphas_.push_back(Alpha(t));
  }

  std::string_view Name() const override { return "ddim"; }
  std::string_view ScheduleType() const override { return ScheduleName(ramp_); }
  std::span<const double> Timesteps() const override { return timesteps_; }
  double InitNoiseSigma() const override { return 1; }
  void ScaleModelInput(int /*i*/, std::span<float> /*latents*/) const override {}

  void Step(int i, std::span<const float> model_output, std::span<float> latents,
            const DrawNoise& draw) override {
    const double a = alphas_[static_cast<size_t>(i)], a_next = NextAlpha(static_cast<size_t>(i));
    const double signal = std::sqrt(a), noise = std::sqrt(1 - a);
    const double variance = (1 - a_next) / (1 - a) * (1 - a / a_next);
    const double deviation = eta_ * std::sqrt(std::max(variance, 0.0));
    const double direction = std::sqrt(std::max(1 - a_next - deviation * deviation, 0.0));
    const double next_signal = std::sqrt(a_next);

    clean_.resize(latents.size());
    for (size_t k = 0; k < latents.size(); ++k) {
      const double x = latents[k], m = model_output[k];
      double clean = m, epsilon = m;
      switch (schedule_.prediction) {
        case PredictionType::kEpsilon:
          clean = (x - noise * m) / signal;
          break;
        case PredictionType::kSample:
          epsilon = (x - signal * m) / noise;
          break;
        case PredictionType::kV:
          clean = signal * x - noise * m;
          epsilon = signal * m + noise * x;
          break;
        case PredictionType::kFlow:
          ENSURE(false, "refused when read");
      }
      if (clip_) clean = std::clamp(clean, -*clip_, *clip_);
      clean_[k] = static_cast<float>(clean);
      latents[k] = static_cast<float>(next_signal * clean + direction * epsilon);
    }
    if (eta_ > 0) {
      drawn_.resize(latents.size());
      draw(drawn_);
      for (size_t k = 0; k < latents.size(); ++k) {
        latents[k] = static_cast<float>(latents[k] + deviation * drawn_[k]);
      }
    }
  }

  std::span<const float> PredictedClean() const override { return clean_; }

  void AddNoise(int i, std::span<const float> noise, std::span<float> latents) const override {
    const double a = alphas_[static_cast<size_t>(i)];
    MixNoise(std::sqrt(a), std::sqrt(1 - a), noise, latents);
  }

 private:
  double Alpha(double t) const { return schedule_.alphas_cumprod[static_cast<size_t>(t)]; }

  double NextAlpha(size_t i) const {
    if (ramp_ != SigmaRamp::kNone) return alphas_[i + 1];
    const double before = timesteps_[i] - stride_;
    return before >= 0 ? Alpha(before) : final_alpha_;
  }

  NoiseSchedule schedule_;
  SigmaRamp ramp_ = SigmaRamp::kNone;
  double stride_, eta_;
  std::vector<double> timesteps_;
  std::vector<double> alphas_;  // of each timestep; of a ramp also the last, 1
  double final_alpha_ = 1;
  std::optional<double> clip_;
  std::vector<float> clean_, drawn_;
};

}  // namespace

std::unique_ptr<Scheduler> MakeDdim(const Config& config, const SamplerChoice& choice) {
  return std::make_unique<Ddim>(config, choice);
}

}  // namespace fovea
