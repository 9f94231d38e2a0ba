// Euler with ancestral sampling, as diffusers' EulerAncestralDiscreteScheduler: a step down to a
// lower noise level than asked for, then fresh noise up to it.

#include <algorithm>
#include <cmath>

#include "pipelines/sampling/schedulers/samplers.h"
#include "pipelines/sampling/schedulers/sigma_schedule.h"

namespace fovea {
namespace {

class EulerAncestral final : public Scheduler {
 public:
  EulerAncestral(const Config& config, const SamplerChoice& choice)
      : schedule_(ReadNoiseSchedule(config, {.predicts_sample = false})),
        timesteps_(SpacedTimesteps(schedule_, choice.steps, false)) {
    // diffusers' class knows no ramps; these are as in k-diffusion, which the web UIs use.
    ramp_ = RampOf(choice.schedule);
    const std::vector<double> sigmas = ramp_ == SigmaRamp::kNone
                                           ? SigmasAt(TrainingSigmas(schedule_), timesteps_)
                                           : RampOverTimesteps(ramp_, schedule_, &timesteps_);
    sigmas_.assign(sigmas.begin(), sigmas.end());
    sigmas_.push_back(0);
    init_sigma_ = FirstSigma(schedule_, sigmas_);
  }

  std::string_view Name() const override { return "euler_a"; }
  std::string_view ScheduleType() const override { return ScheduleName(ramp_); }
  std::span<const double> Timesteps() const override { return timesteps_; }
  double InitNoiseSigma() const override { return init_sigma_; }

  void ScaleModelInput(int i, std::span<float> latents) const override {
    ScaleBySigma(sigmas_[static_cast<size_t>(i)], latents);
  }

  void Step(int i, std::span<const float> model_output, std::span<float> latents,
            const DrawNoise& draw) override {
    // In f32 and in diffusers' order, as PredictClean; `down` cancels too.
    const float from = sigmas_[static_cast<size_t>(i)], to = sigmas_[static_cast<size_t>(i) + 1];
    const float up = std::sqrt(to * to * (from * from - to * to) / (from * from));
    const float down = std::sqrt(std::max(to * to - up * up, 0.0f));
    const float dt = down - from;
    PredictClean(schedule_.prediction, from, model_output, latents, clean_);
    drawn_.resize(latents.size());
    draw(drawn_);
    for (size_t k = 0; k < latents.size(); ++k) {
      latents[k] += (latents[k] - clean_[k]) / from * dt;
      latents[k] += drawn_[k] * up;
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
  std::vector<float> clean_, drawn_;
};

}  // namespace

std::unique_ptr<Scheduler> MakeEulerAncestral(const Config& config, const SamplerChoice& choice) {
  return std::make_unique<EulerAncestral>(config, choice);
}

}  // namespace fovea
