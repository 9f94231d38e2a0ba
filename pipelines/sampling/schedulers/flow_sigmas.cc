#include "pipelines/sampling/schedulers/flow_sigmas.h"

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

bool IsDynamic(const Config& config, const SamplerChoice& choice) {
  return ReadFlag(config, "use_dynamic_shifting", false) && choice.shift == 0;
}

// Of a config, as read.
struct Shift {
  double factor = 1;
  bool dynamic = false;
  double terminal = 0;  // 0: none
};

// In diffusers' order of operations and in the type that NumPy carries, f32 for sigmas that a
// pipeline hands over: close to sigma 1, little is left of them but their rounding.
template <class T>
std::vector<double> Shifted(const Shift& shift, std::span<const double> sigmas) {
  std::vector<T> out(sigmas.begin(), sigmas.end());
  const T factor = static_cast<T>(shift.factor), less = static_cast<T>(shift.factor - 1);
  for (T& sigma : out) {
    sigma =
        shift.dynamic ? factor / (factor + (1 / sigma - 1)) : factor * sigma / (1 + less * sigma);
  }
  if (shift.terminal > 0 && out.back() < 1) {
    const T scale = (1 - out.back()) / static_cast<T>(1 - shift.terminal);
    for (T& sigma : out) sigma = 1 - (1 - sigma) / scale;
  }
  return {out.begin(), out.end()};
}

}  // namespace

double FlowShift(const Config& config, const SamplerChoice& choice) {
  double shift = choice.shift;
  if (IsDynamic(config, choice)) {
    const double mu = DynamicMu(config, choice);
    const bool linear = ReadChoice(config, "time_shift_type", {"exponential", "linear"}, 0) == 1;
    shift = linear ? mu : std::exp(mu);
  } else if (shift == 0) {
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
  FlowLevels levels;
  const auto train_steps = static_cast<double>(config.Int("num_train_timesteps", 1, 100000, 1000));
  Shift shift = {FlowShift(config, choice), IsDynamic(config, choice)};
  if (!shifts_only && config.Has("shift_terminal")) {
    shift.terminal = config.Number("shift_terminal", 0);
    if (!(shift.terminal >= 0 && shift.terminal < 1)) {
      throw Error(ErrorCode::kBadFile, config.Where() + ": shift_terminal must lie in [0, 1)");
    }
  }
  std::vector<double> sigmas;
  if (choice.flow_from_one || choice.schedule == "sgm_uniform") {
    sigmas = Shifted<float>(shift, Linspace(1, 1.0 / choice.steps, choice.steps));
  } else {
    // diffusers begins with the ends of the table of training steps, which a fixed shift has
    // shifted already.
    std::vector<double> lowest{static_cast<float>(1 / train_steps)};
    if (!shift.dynamic) lowest = Shifted<float>({shift.factor}, lowest);
    sigmas = Linspace(train_steps, lowest[0] * train_steps, choice.steps);
    for (double& sigma : sigmas) sigma /= train_steps;
    sigmas = Shifted<double>(shift, sigmas);
  }
  const SigmaOptions options = ReadSigmaOptions(config);
  const bool asked = !choice.schedule.empty() && choice.schedule != "model";
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
