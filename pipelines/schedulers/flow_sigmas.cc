#include "pipelines/schedulers/flow_sigmas.h"

#include <cmath>

#include "tensor/error.h"

namespace fovea {
namespace {

// Where use_dynamic_shifting says so, the shift's logarithm grows with the number of image tokens
// along the line through (base_image_seq_len, base_shift) and (max_image_seq_len, max_shift).
double DynamicMu(const Config& config, const SamplerChoice& choice) {
  const double low = config.Number("base_shift", 0.5), high = config.Number("max_shift", 1.15);
  const auto first = static_cast<double>(config.Int("base_image_seq_len", 1, 1 << 30, 256));
  const auto last = static_cast<double>(config.Int("max_image_seq_len", 1, 1 << 30, 4096));
  if (first == last) {
    throw Error(ErrorCode::kBadFile,
                config.Where() + ": base_image_seq_len and max_image_seq_len must differ");
  }
  ENSURE(choice.image_tokens > 0, "a dynamic shift is one of the picture's size");
  const double slope = (high - low) / (last - first);
  return static_cast<double>(choice.image_tokens) * slope + (low - slope * first);
}

double Shifted(double shift, double sigma) {
  return shift * sigma / (1 + (shift - 1) * sigma);
}

}  // namespace

double FlowShift(const Config& config, const SamplerChoice& choice) {
  double shift = 1;
  if (ReadFlag(config, "use_dynamic_shifting", false)) {
    const double mu = DynamicMu(config, choice);
    const bool linear = ReadChoice(config, "time_shift_type", {"exponential", "linear"}, 0) == 1;
    shift = linear ? mu : std::exp(mu);
  } else {
    // One number under two names: FlowMatch classes say shift, the others flow_shift.
    const bool other = !config.Has("shift") && config.Has("flow_shift");
    shift = config.Number(other ? "flow_shift" : "shift", 1);
  }
  if (!(shift > 0 && std::isfinite(shift))) {
    throw Error(ErrorCode::kBadFile, config.Where() + ": the shift of noise levels, " +
                                         std::to_string(shift) + ", must be above 0");
  }
  return shift;
}

FlowLevels ReadFlowLevels(const Config& config, const SamplerChoice& choice, bool shifts_only) {
  const bool asked = !choice.schedule.empty() && choice.schedule != "model";
  FlowLevels levels;
  const double train_steps =
      static_cast<double>(config.Int("num_train_timesteps", 1, 100000, 1000));
  const bool dynamic = ReadFlag(config, "use_dynamic_shifting", false);
  const double shift = FlowShift(config, choice);

  std::vector<double> sigmas;
  if (choice.flow_from_one || choice.schedule == "sgm_uniform") {
    for (const double sigma : Linspace(1, 1.0 / choice.steps, choice.steps)) {
      sigmas.push_back(static_cast<float>(sigma));
    }
  } else {
    // diffusers begins with the ends of the table of training steps, which a fixed shift has
    // shifted already.
    const double lowest = dynamic ? 1 / train_steps : Shifted(shift, 1 / train_steps);
    sigmas = Linspace(train_steps, static_cast<float>(lowest) * train_steps, choice.steps);
    for (double& sigma : sigmas) sigma /= train_steps;
  }
  for (double& sigma : sigmas) sigma = Shifted(shift, sigma);

  if (!shifts_only && config.Has("shift_terminal")) {
    const double terminal = config.Number("shift_terminal", 0);
    if (!(terminal >= 0 && terminal < 1)) {
      throw Error(ErrorCode::kBadFile, config.Where() + ": shift_terminal must lie in [0, 1)");
    }
    if (terminal > 0 && sigmas.back() < 1) {
      const double scale = (1 - sigmas.back()) / (1 - terminal);
      for (double& sigma : sigmas) sigma = 1 - (1 - sigma) / scale;
    }
  }
  const SigmaOptions options = ReadSigmaOptions(config);
  if (!shifts_only || asked) levels.ramp = options.ramp;
  if (levels.ramp != SigmaRamp::kNone) {
    sigmas = RampSigmas(levels.ramp, options.max.value_or(sigmas.front()),
                        options.min.value_or(sigmas.back()), choice.steps);
  }
  levels.inverted = !shifts_only && ReadFlag(config, "invert_sigmas", false);
  for (const double sigma : sigmas) {
    const auto single = static_cast<float>(sigma);
    levels.sigmas.push_back(levels.inverted ? 1 - single : single);
    levels.timesteps.push_back(levels.sigmas.back() * static_cast<float>(train_steps));
  }
  levels.sigmas.push_back(levels.inverted ? 1.0F : 0.0F);
  return levels;
}

void MixFlowNoise(float sigma, std::span<const float> noise, std::span<float> latents) {
  for (size_t k = 0; k < latents.size(); ++k) {
    latents[k] = sigma * noise[k] + (1 - sigma) * latents[k];
  }
}

void PredictCleanOfFlow(float sigma, std::span<const float> velocity,
                        std::span<const float> latents, std::vector<float>& clean) {
  clean.resize(latents.size());
  for (size_t k = 0; k < latents.size(); ++k) clean[k] = latents[k] - sigma * velocity[k];
}

bool IsFlowMatching(const Config& config) {
  return config.ClassName().starts_with("FlowMatch") || ReadFlag(config, "use_flow_sigmas", false);
}

}  // namespace fovea
