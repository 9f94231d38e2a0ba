#include "pipelines/sampling/schedulers/noise_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <nlohmann/json.hpp>

#include "tensor/error.h"

namespace fovea {
namespace {

constexpr int kMaxTrainSteps = 100000;

std::vector<float> SquaredCosineBetas(int count) {
  const auto alpha_bar = [](double t) {
    const double c = std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2);
    return c * c;
  };
  std::vector<float> betas(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    const double t1 = static_cast<double>(i) / count, t2 = static_cast<double>(i + 1) / count;
    betas[static_cast<size_t>(i)] =
        static_cast<float>(std::min(1 - alpha_bar(t2) / alpha_bar(t1), 0.999));
  }
  return betas;
}

// torch.cumprod on the CPU accumulates f32 in f64.
std::vector<float> CumulativeProducts(const std::vector<float>& betas) {
  std::vector<float> out(betas.size());
  double product = 1;
  for (size_t i = 0; i < betas.size(); ++i) {
    product *= static_cast<double>(1.0f - betas[i]);
    out[i] = static_cast<float>(product);
  }
  return out;
}

// Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed" (2023), algorithm 1.
std::vector<float> RescaledToZeroSnr(const std::vector<float>& betas) {
  std::vector<float> bar = CumulativeProducts(betas);
  for (float& x : bar) x = std::sqrt(x);
  const float first = bar.front(), last = bar.back();
  const float scale = first / (first - last);
  for (float& x : bar) {
    x = (x - last) * scale;
    x = x * x;
  }
  std::vector<float> out(bar.size());
  out[0] = 1.0f - bar[0];
  for (size_t i = 1; i < bar.size(); ++i) out[i] = 1.0f - bar[i] / bar[i - 1];
  return out;
}

std::vector<float> ReadBetas(const Config& config, const ScheduleDefaults& defaults,
                             NoiseSchedule& schedule) {
  const double start = config.Number("beta_start", defaults.beta_start);
  const double end = config.Number("beta_end", defaults.beta_end);
  const int kind =
      ReadChoice(config, "beta_schedule", {"linear", "scaled_linear", "squaredcos_cap_v2"},
                 defaults.scaled_linear ? 1 : 0);
  schedule.squared_cosine = kind == 2;
  std::vector<float> betas;
  if (config.Has("trained_betas")) {
    for (const double beta : config.Numbers("trained_betas")) {
      betas.push_back(static_cast<float>(beta));
    }
    if (static_cast<int>(betas.size()) != schedule.train_steps) {
      throw Error(ErrorCode::kBadFile,
                  config.Where() + ": trained_betas has " + std::to_string(betas.size()) +
                      " values for num_train_timesteps " + std::to_string(schedule.train_steps));
    }
  } else if (kind == 0) {
    betas = TorchLinspace(start, end, schedule.train_steps);
  } else if (kind == 1) {
    betas = TorchLinspace(std::sqrt(start), std::sqrt(end), schedule.train_steps);
    for (float& beta : betas) beta *= beta;
  } else {
    betas = SquaredCosineBetas(schedule.train_steps);
  }
  if (!std::all_of(betas.begin(), betas.end(), [](float b) { return b > 0 && b < 1; })) {
    throw Error(ErrorCode::kBadFile,
                config.Where() +
                    ": betas must lie between 0 and 1: check beta_start, beta_end, trained_betas");
  }
  return betas;
}

}  // namespace

bool ReadFlag(const Config& config, std::string_view field, bool otherwise) {
  const auto found = config.Json().find(std::string(field));
  if (found != config.Json().end() && found->is_null()) return false;
  return config.Bool(field, otherwise);
}

int ReadChoice(const Config& config, std::string_view field,
               std::initializer_list<std::string_view> names, int otherwise) {
  if (!config.Has(field)) return otherwise;
  const std::string value = config.String(field, "");
  std::string known;
  int index = 0;
  for (const std::string_view name : names) {
    if (value == name) return index;
    known += (index++ > 0 ? ", " : "") + std::string(name);
  }
  throw Error(ErrorCode::kUnsupported, config.Where() + ": " + std::string(field) + " \"" +
                                           value.substr(0, 80) + "\" is not among " + known);
}

NoiseSchedule ReadNoiseSchedule(const Config& config, const ScheduleDefaults& defaults) {
  NoiseSchedule schedule;
  schedule.train_steps =
      static_cast<int>(config.Int("num_train_timesteps", 1, kMaxTrainSteps, 1000));
  schedule.steps_offset = static_cast<int>(config.Int("steps_offset", 0, kMaxTrainSteps, 0));
  schedule.spacing = static_cast<Spacing>(ReadChoice(config, "timestep_spacing",
                                                     {"linspace", "leading", "trailing"},
                                                     static_cast<int>(defaults.spacing)));
  int prediction = 0;
  if (defaults.predicts_flow) {
    prediction = ReadChoice(config, "prediction_type",
                            {"epsilon", "v_prediction", "sample", "flow_prediction"}, 0);
  } else if (defaults.predicts_sample) {
    prediction = ReadChoice(config, "prediction_type", {"epsilon", "v_prediction", "sample"}, 0);
  } else {
    prediction = ReadChoice(config, "prediction_type", {"epsilon", "v_prediction"}, 0);
  }
  constexpr PredictionType kPredictions[] = {PredictionType::kEpsilon, PredictionType::kV,
                                             PredictionType::kSample, PredictionType::kFlow};
  schedule.prediction = kPredictions[prediction];

  std::vector<float> betas = ReadBetas(config, defaults, schedule);
  const bool rescale = defaults.has_rescale && ReadFlag(config, "rescale_betas_zero_snr", false);
  if (rescale && schedule.train_steps < 2) {
    throw Error(ErrorCode::kBadFile,
                config.Where() + ": rescale_betas_zero_snr needs num_train_timesteps of 2 or more");
  }
  if (rescale) betas = RescaledToZeroSnr(betas);
  schedule.alphas_cumprod = CumulativeProducts(betas);
  if (rescale && defaults.keeps_last_above_zero) schedule.alphas_cumprod.back() = 0x1p-24f;
  return schedule;
}

std::vector<double> Linspace(double first, double last, int count) {
  std::vector<double> out(static_cast<size_t>(count), first);
  if (count < 2) return out;
  const double step = (last - first) / (count - 1);
  for (int i = 0; i < count; ++i) out[static_cast<size_t>(i)] = i * step + first;
  out.back() = last;
  return out;
}

std::vector<float> TorchLinspace(double first, double last, int count) {
  // Counted from both ends, products fused with sums.
  std::vector<float> out(static_cast<size_t>(count));
  const auto begin = static_cast<float>(first);
  const auto end = static_cast<float>(last);
  if (count == 1) {
    out[0] = begin;
    return out;
  }
  const float step = (end - begin) / static_cast<float>(count - 1);
  for (int i = 0; i < count; ++i) {
    out[static_cast<size_t>(i)] = i < count / 2
                                      ? std::fma(step, static_cast<float>(i), begin)
                                      : std::fma(-step, static_cast<float>(count - i - 1), end);
  }
  return out;
}

std::vector<double> ArangeDown(double first, double ratio) {
  std::vector<double> out;
  const auto count = static_cast<int>(std::ceil(first / ratio));
  const double delta = (first - ratio) - first;
  for (int i = 0; i < count; ++i) out.push_back(RoundHalfEven(first + i * delta) - 1);
  return out;
}

double RoundHalfEven(double x) {
  return std::nearbyint(x);
}

std::vector<double> SpacedTimesteps(const NoiseSchedule& schedule, int steps, bool whole) {
  std::vector<double> out;
  if (schedule.spacing == Spacing::kLinspace) {
    out = Linspace(0, schedule.train_steps - 1, steps);
    for (double& t : out) t = whole ? RoundHalfEven(t) : static_cast<double>(static_cast<float>(t));
    std::reverse(out.begin(), out.end());
  } else if (schedule.spacing == Spacing::kLeading) {
    const int ratio = schedule.train_steps / steps;
    for (int i = steps - 1; i >= 0; --i) out.push_back(i * ratio + schedule.steps_offset);
  } else {
    out = ArangeDown(schedule.train_steps, static_cast<double>(schedule.train_steps) / steps);
  }
  return out;
}

void CheckTimesteps(const NoiseSchedule& schedule, const std::vector<double>& timesteps) {
  for (const double t : timesteps) {
    if (t < 0 || t > schedule.train_steps - 1) {
      throw Error(ErrorCode::kUsage, "steps: " + std::to_string(timesteps.size()) +
                                         " reach timestep " + std::to_string(static_cast<long>(t)) +
                                         ", but the model was trained on 0 to " +
                                         std::to_string(schedule.train_steps - 1) +
                                         "; take fewer steps");
    }
  }
}

std::vector<float> TrainingSigmas(const NoiseSchedule& schedule) {
  std::vector<float> out;
  for (const float a : schedule.alphas_cumprod) out.push_back(std::sqrt((1.0f - a) / a));
  return out;
}

void MixNoise(double signal, double sigma, std::span<const float> noise, std::span<float> latents) {
  for (size_t k = 0; k < latents.size(); ++k) {
    latents[k] = static_cast<float>(signal * latents[k] + sigma * noise[k]);
  }
}

}  // namespace fovea
