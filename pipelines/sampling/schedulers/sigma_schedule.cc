#include "pipelines/sampling/schedulers/sigma_schedule.h"

#include <algorithm>
#include <cmath>

#include "pipelines/sampling/schedulers/beta_quantile.h"
#include "tensor/error.h"

namespace fovea {
namespace {

std::optional<double> ReadSigma(const Config& config, std::string_view field) {
  if (!config.Has(field)) return std::nullopt;
  const double sigma = config.Number(field, 0);
  if (sigma <= 0) {
    throw Error(ErrorCode::kBadFile,
                config.Where() + ": " + std::string(field) + " must be above 0");
  }
  return sigma;
}

}  // namespace

std::string_view ScheduleName(SigmaRamp ramp) {
  switch (ramp) {
    case SigmaRamp::kKarras:
      return "Karras";
    case SigmaRamp::kExponential:
      return "Exponential";
    case SigmaRamp::kBeta:
      return "Beta";
    case SigmaRamp::kNone:
      break;
  }
  return "";
}

SigmaOptions ReadSigmaOptions(const Config& config) {
  SigmaOptions options;
  constexpr std::pair<const char*, SigmaRamp> kRamps[] = {
      {"use_karras_sigmas", SigmaRamp::kKarras},
      {"use_exponential_sigmas", SigmaRamp::kExponential},
      {"use_beta_sigmas", SigmaRamp::kBeta}};
  for (const auto& [field, ramp] : kRamps) {
    if (!ReadFlag(config, field, false)) continue;
    if (options.ramp != SigmaRamp::kNone) {
      throw Error(
          ErrorCode::kBadFile,
          config.Where() +
              ": only one of use_karras_sigmas, use_exponential_sigmas and use_beta_sigmas");
    }
    options.ramp = ramp;
  }
  options.min = ReadSigma(config, "sigma_min");
  options.max = ReadSigma(config, "sigma_max");
  options.ends_at_zero = ReadChoice(config, "final_sigmas_type", {"zero", "sigma_min"}, 0) == 0;
  return options;
}

std::vector<double> RampSigmas(SigmaRamp ramp, double max, double min, int count) {
  ENSURE(ramp != SigmaRamp::kNone);
  std::vector<double> out;
  if (ramp == SigmaRamp::kExponential) {
    for (const double x : Linspace(std::log(max), std::log(min), count)) out.push_back(std::exp(x));
    return out;
  }
  if (ramp == SigmaRamp::kBeta) {
    constexpr double kShape = 0.6;
    for (const double x : Linspace(0, 1, count)) {
      out.push_back(min + BetaQuantile(1 - x, kShape, kShape) * (max - min));
    }
    return out;
  }
  constexpr double kRho = 7;
  const double low = std::pow(min, 1 / kRho), high = std::pow(max, 1 / kRho);
  for (const double x : Linspace(0, 1, count))
    out.push_back(std::pow(high + x * (low - high), kRho));
  return out;
}

SigmaRamp RampOf(std::string_view schedule) {
  if (schedule == "karras") return SigmaRamp::kKarras;
  if (schedule == "exponential") return SigmaRamp::kExponential;
  if (schedule == "beta") return SigmaRamp::kBeta;
  return SigmaRamp::kNone;
}

std::vector<double> RampOverTimesteps(SigmaRamp ramp, const NoiseSchedule& schedule,
                                      std::vector<double>* timesteps) {
  const std::vector<float> table = TrainingSigmas(schedule), log_table = Logs(table);
  const std::vector<double> ends =
      SigmasAt(table, std::vector<double>{timesteps->front(), timesteps->back()});
  if (!std::isfinite(ends[0])) {
    throw Error(ErrorCode::kUnsupported,
                "schedule: the model begins at zero signal, where no ramp of noise levels can "
                "begin; take normal or sgm_uniform");
  }
  std::vector<double> sigmas =
      RampSigmas(ramp, ends[0], ends[1], static_cast<int>(timesteps->size()));
  timesteps->clear();
  for (const double sigma : sigmas) {
    timesteps->push_back(static_cast<float>(TimestepAt(sigma, log_table)));
  }
  return sigmas;
}

std::vector<double> SpacedForSolver(const NoiseSchedule& schedule, int last, int steps) {
  std::vector<double> out;
  if (schedule.spacing == Spacing::kLinspace) {
    out = Linspace(0, last - 1, steps + 1);
    for (double& t : out) t = RoundHalfEven(t);
    std::reverse(out.begin(), out.end());
    out.pop_back();
  } else if (schedule.spacing == Spacing::kLeading) {
    const int stride = last / (steps + 1);
    if (stride == 0) {
      throw Error(ErrorCode::kUsage, "steps: " + std::to_string(steps) +
                                         " with timestep_spacing leading; at most " +
                                         std::to_string(last - 1));
    }
    for (int i = steps; i >= 1; --i) out.push_back(i * stride + schedule.steps_offset);
  } else {
    out = ArangeDown(last, static_cast<double>(schedule.train_steps) / steps);
  }
  return out;
}

std::vector<double> SigmasAt(std::span<const float> table, std::span<const double> timesteps) {
  std::vector<double> out;
  const auto last = static_cast<double>(table.size() - 1);
  for (const double t : timesteps) {
    const double inside = std::clamp(t, 0.0, last);
    const auto below = static_cast<size_t>(inside);
    const double low = table[below];
    const double high = below + 1 < table.size() ? table[below + 1] : table[below];
    out.push_back((high - low) * (inside - static_cast<double>(below)) + low);
  }
  return out;
}

double FirstSigma(const NoiseSchedule& schedule, std::span<const float> sigmas) {
  const float top = *std::max_element(sigmas.begin(), sigmas.end());
  return schedule.spacing == Spacing::kLeading ? std::sqrt(top * top + 1) : top;
}

void ScaleBySigma(float sigma, std::span<float> latents) {
  const float scale = std::sqrt(sigma * sigma + 1);
  for (float& x : latents) x /= scale;
}

void AddSigmaNoise(double sigma, std::span<const float> noise, std::span<float> latents) {
  for (size_t k = 0; k < latents.size(); ++k) {
    latents[k] = static_cast<float>(latents[k] + sigma * noise[k]);
  }
}

std::vector<float> Logs(std::span<const float> values) {
  std::vector<float> out;
  for (const float x : values) out.push_back(static_cast<float>(std::log(static_cast<double>(x))));
  return out;
}

double TimestepAt(double sigma, std::span<const float> log_table) {
  if (log_table.size() < 2) return 0;
  const double log_sigma = std::log(std::max(sigma, 1e-10));
  const auto above = std::upper_bound(log_table.begin(), log_table.end(), log_sigma);
  const auto below = std::clamp<int64_t>(above - log_table.begin() - 1, 0,
                                         static_cast<int64_t>(log_table.size()) - 2);
  const double low = log_table[static_cast<size_t>(below)];
  const double high = log_table[static_cast<size_t>(below) + 1];
  const double weight = std::clamp((low - log_sigma) / (low - high), 0.0, 1.0);
  return (1 - weight) * static_cast<double>(below) + weight * static_cast<double>(below + 1);
}

void PredictClean(PredictionType prediction, float sigma, std::span<const float> model_output,
                  std::span<const float> latents, std::vector<float>& clean) {
  clean.resize(latents.size());
  const float variance = sigma * sigma + 1, v_scale = -sigma / std::sqrt(variance);
  for (size_t k = 0; k < latents.size(); ++k) {
    const float x = latents[k], m = model_output[k];
    switch (prediction) {
      case PredictionType::kEpsilon:
        clean[k] = x - sigma * m;
        break;
      case PredictionType::kSample:
        clean[k] = m;
        break;
      case PredictionType::kV:
        clean[k] = m * v_scale + x / variance;
        break;
      case PredictionType::kFlow:
        ENSURE(false, "a flow's noise levels are of another kind");
    }
  }
}

}  // namespace fovea
