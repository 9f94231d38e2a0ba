// Euler's method along the flow, as diffusers' FlowMatchEulerDiscreteScheduler; with
// stochastic_sampling, new noise of the next level on the predicted clean latents at every step.

#include "pipelines/sampling/schedulers/flow_sigmas.h"
#include "pipelines/sampling/schedulers/samplers.h"

namespace fovea {
namespace {

class FlowEuler final : public Scheduler {
 public:
  FlowEuler(const Config& config, const SamplerChoice& choice)
      : levels_(ReadFlowLevels(config, choice, false)),
        stochastic_(ReadFlag(config, "stochastic_sampling", false)) {}

  std::string_view Name() const override { return "flow_euler"; }
  std::string_view ScheduleType() const override { return ScheduleName(levels_.ramp); }
  std::span<const double> Timesteps() const override { return levels_.timesteps; }
  bool IsFlow() const override { return true; }
  double InitNoiseSigma() const override { return 1; }
  void ScaleModelInput(int /*i*/, std::span<float> /*latents*/) const override {}

  void Step(int i, std::span<const float> model_output, std::span<float> latents,
            const DrawNoise& draw) override {
    const float sigma = levels_.sigmas[static_cast<size_t>(i)];
    const float next = levels_.sigmas[static_cast<size_t>(i) + 1];
    // The velocity leads from clean to noise as sigma grows; inverted, the other way.
    PredictCleanOfFlow(levels_.inverted && !stochastic_ ? sigma - 1 : sigma, model_output, latents,
                       clean_);
    if (stochastic_) {
      drawn_.resize(latents.size());
      draw(drawn_);
      std::copy(clean_.begin(), clean_.end(), latents.begin());
      MixFlowNoise(next, drawn_, latents);
      return;
    }
    for (size_t k = 0; k < latents.size(); ++k) latents[k] += (next - sigma) * model_output[k];
  }

  std::span<const float> PredictedClean() const override { return clean_; }

  void AddNoise(int i, std::span<const float> noise, std::span<float> latents) const override {
    MixFlowNoise(levels_.sigmas[static_cast<size_t>(i)], noise, latents);
  }

 private:
  FlowLevels levels_;
  bool stochastic_;
  std::vector<float> clean_, drawn_;
};

}  // namespace

std::unique_ptr<Scheduler> MakeFlowEuler(const Config& config, const SamplerChoice& choice) {
  return std::make_unique<FlowEuler>(config, choice);
}

}  // namespace fovea
