// Euler. Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models" (2022),
// algorithm 2 without churn, as diffusers' EulerDiscreteScheduler.

#include <algorithm>
#include <cmath>

#include "pipelines/sampling/schedulers/samplers.h"
#include "pipelines/sampling/schedulers/sigma_schedule.h"
#include "tensor/error.h"

namespace fovea {
namespace {

class Euler final : public Scheduler {
 public:
  Euler(const Config& config, const SamplerChoice& choice)
      : schedule_(ReadNoiseSchedule(config, {})),
        timesteps_(SpacedTimesteps(schedule_, choice.steps, false)) {
    const SigmaOptions options = ReadSigmaOptions(config);
    ramp_ = options.ramp;
    const bool log_linear =
        ReadChoice(config, "interpolation_type", {"linear", "log_linear"}, 0) == 1;
    const bool continuous = ReadChoice(config, "timestep_type", {"discrete", "continuous"}, 0) == 1;

    const std::vector<float> table = TrainingSigmas(schedule_), log_table = Logs(table);
    std::vector<double> sigmas = SigmasAt(table, timesteps_);
    if (log_linear) {
      sigmas.clear();
      for (const float x : TorchLinspace(log_table.back(), log_table.front(), choice.steps + 1)) {
        sigmas.push_back(std::exp(x));
      }
    }
    if (options.ramp != SigmaRamp::kNone) {
      sigmas = RampSigmas(options.ramp, options.max.value_or(sigmas.front()),
                          options.min.value_or(sigmas.back()), choice.steps);
      timesteps_.clear();
      for (const double sigma : sigmas) timesteps_.push_back(TimestepAt(sigma, log_table));
    }
    sigmas.push_back(options.ends_at_zero ? 0 : table[0]);
    sigmas_.assign(sigmas.begin(), sigmas.end());
    if (continuous && schedule_.prediction == PredictionType::kV) {
      timesteps_.clear();
      for (size_t i = 0; i + 1 < sigmas_.size(); ++i) {
        timesteps_.push_back(0.25 * std::log(sigmas_[i]));
      }
    }
    // diffusers' timesteps are f32; a log_linear schedule has one sigma more than it has steps.
    for (double& t : timesteps_) t = static_cast<float>(t);
    ENSURE(sigmas_.size() > timesteps_.size());

    init_sigma_ = FirstSigma(schedule_, sigmas_);
  }

  std::string_view Name() const override { return "euler"; }
  std::string_view ScheduleType() const override { return ScheduleName(ramp_); }
  std::span<const double> Timesteps() const override { return timesteps_; }
  double InitNoiseSigma() const override { return init_sigma_; }

  void ScaleModelInput(int i, std::span<float> latents) const override {
    ScaleBySigma(sigmas_[static_cast<size_t>(i)], latents);
  }

  void Step(int i, std::span<const float> model_output, std::span<float> latents,
            const DrawNoise& /*draw*/) override {
    // In f32 and in diffusers' order, as PredictClean.
    const float sigma = sigmas_[static_cast<size_t>(i)];
    const float dt = sigmas_[static_cast<size_t>(i) + 1] - sigma;
    PredictClean(schedule_.prediction, sigma, model_output, latents, clean_);
    for (size_t k = 0; k < latents.size(); ++k) {
      latents[k] += (latents[k] - clean_[k]) / sigma * dt;
    }
  }

  std::span<const float> PredictedClean() const override { return clean_; }

  void AddNoise(int i, std::span<const float> noise, std::span<float> latents) const override {
    AddSigmaNoise(sigmas_[static_cast<size_t>(i)], noise, latents);
  }

 private:
  NoiseSchedule schedule_;
  SigmaRamp ramp_ = SigmaRamp::kNone;
  std::vector<double> timesteps_;
  std::vector<float> sigmas_;
  double init_sigma_ = 1;
  std::vector<float> clean_;
};

}  // namespace

std::unique_ptr<Scheduler> MakeEuler(const Config& config, const SamplerChoice& choice) {
  return std::make_unique<Euler>(config, choice);
}

}  // namespace fovea
