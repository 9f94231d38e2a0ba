// Heun's method along the flow, as diffusers' FlowMatchHeunDiscreteScheduler: every step but the
// last calls the model twice, an Euler step ahead and the mean velocity back. diffusers' class
// knows a fixed shift alone; here it has the levels of flow_euler where a config shifts by size.

#include "pipelines/sampling/schedulers/flow_sigmas.h"
#include "pipelines/sampling/schedulers/samplers.h"

namespace fovea {
namespace {

class FlowHeun final : public Scheduler {
 public:
  FlowHeun(const Config& config, const SamplerChoice& choice)
      : levels_(ReadFlowLevels(config, choice, true)) {
    for (size_t i = 0; i < levels_.timesteps.size(); ++i) {
      const int calls = i == 0 ? 1 : 2;  // the second call of the step before, the first of this
      timesteps_.insert(timesteps_.end(), static_cast<size_t>(calls), levels_.timesteps[i]);
      sigmas_.insert(sigmas_.end(), static_cast<size_t>(calls), levels_.sigmas[i]);
    }
    sigmas_.push_back(levels_.sigmas.back());
  }

  std::string_view Name() const override { return "flow_heun"; }
  std::string_view ScheduleType() const override { return ScheduleName(levels_.ramp); }
  std::span<const double> Timesteps() const override { return timesteps_; }
  int CallsPerStep() const override { return 2; }
  bool IsFlow() const override { return true; }
  double InitNoiseSigma() const override { return 1; }
  void ScaleModelInput(int /*i*/, std::span<float> /*latents*/) const override {}

  void Step(int i, std::span<const float> model_output, std::span<float> latents,
            const DrawNoise& /*draw*/) override {
    const auto call = static_cast<size_t>(i);
    const float sigma = sigmas_[call];
    PredictCleanOfFlow(sigma, model_output, latents, clean_);
    // The velocity by way of the clean latents: in f32 and in diffusers' order, as PredictClean.
    if (call % 2 == 0) {
      const float dt = sigmas_[call + 1] - sigma;
      begin_.assign(latents.begin(), latents.end());
      velocity_.resize(latents.size());
      for (size_t k = 0; k < latents.size(); ++k) {
        velocity_[k] = (latents[k] - clean_[k]) / sigma;
        latents[k] += velocity_[k] * dt;
      }
    } else {
      const float dt = sigma - sigmas_[call - 1];
      for (size_t k = 0; k < latents.size(); ++k) {
        const float back = (latents[k] - clean_[k]) / sigma;
        latents[k] = begin_[k] + 0.5F * (velocity_[k] + back) * dt;
      }
    }
  }

  std::span<const float> PredictedClean() const override { return clean_; }

  void AddNoise(int i, std::span<const float> noise, std::span<float> latents) const override {
    MixFlowNoise(sigmas_[static_cast<size_t>(i)], noise, latents);
  }

 private:
  FlowLevels levels_;                            // one a step
  std::vector<double> timesteps_;                // one a call
  std::vector<float> sigmas_;                    // at each call, and zero
  std::vector<float> clean_, begin_, velocity_;  // of the step in progress
};

}  // namespace

std::unique_ptr<Scheduler> MakeFlowHeun(const Config& config, const SamplerChoice& choice) {
  return std::make_unique<FlowHeun>(config, choice);
}

}  // namespace fovea
