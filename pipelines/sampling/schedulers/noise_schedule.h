// The tables that every sampler starts from: betas, their cumulative products, spaced timesteps.
//
// Fields and numerics are those of diffusers' schedulers. The tables are f32 because diffusers'
// are: near t = 0, 1 - alphas_cumprod keeps only four digits, so f64 tables would give other
// sigmas.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "models/config.h"

namespace fovea {

enum class PredictionType : uint8_t { kEpsilon, kSample, kV, kFlow };
enum class Spacing : uint8_t { kLinspace, kLeading, kTrailing };

struct NoiseSchedule {
  int train_steps = 1000;
  PredictionType prediction = PredictionType::kEpsilon;
  Spacing spacing = Spacing::kLinspace;
  int steps_offset = 0;
  bool squared_cosine = false;        // beta_schedule is squaredcos_cap_v2
  std::vector<float> alphas_cumprod;  // (train_steps)
};

// Defaults that differ between diffusers' classes.
struct ScheduleDefaults {
  Spacing spacing = Spacing::kLinspace;
  bool has_rescale = true;            // the class knows rescale_betas_zero_snr
  bool keeps_last_above_zero = true;  // ... and then replaces the last product by 2^-24
  bool predicts_sample = true;        // the class knows prediction_type "sample"
  bool predicts_flow = false;         // ... and "flow_prediction"
  double beta_start = 0.0001, beta_end = 0.02;
  bool scaled_linear = false;  // beta_schedule
};

// Reads the common fields. Throws kBadFile for broken values, kUnsupported for those we lack.
NoiseSchedule ReadNoiseSchedule(const Config& config, const ScheduleDefaults& defaults);

// A flag as Python reads it: null counts as false, absence as `otherwise`.
bool ReadFlag(const Config& config, std::string_view field, bool otherwise);
// Position of the field's text in `names`; absent: `otherwise`. Throws kUnsupported listing the
// names.
int ReadChoice(const Config& config, std::string_view field,
               std::initializer_list<std::string_view> names, int otherwise);

// `steps` timesteps, descending. Leading and trailing ones are whole; linspace ones are rounded to
// whole numbers if asked. Trailing may give one more than `steps`, as NumPy's arange does.
std::vector<double> SpacedTimesteps(const NoiseSchedule& schedule, int steps, bool whole);

// Throws kUsage if a timestep is no index of the tables.
void CheckTimesteps(const NoiseSchedule& schedule, const std::vector<double>& timesteps);

// sqrt((1 - a) / a) for every training step, ascending, f32 values.
std::vector<float> TrainingSigmas(const NoiseSchedule& schedule);

// Clean latents with noise, of samplers whose latents keep their variance.
void MixNoise(double signal, double sigma, std::span<const float> noise, std::span<float> latents);

// NumPy's linspace(first, last, count).
std::vector<double> Linspace(double first, double last, int count);
// Timesteps of trailing spacing: round(arange(first, 0, -ratio)) - 1, as NumPy counts it.
std::vector<double> ArangeDown(double first, double ratio);
// torch.linspace in f32 on the CPU, bit for bit.
std::vector<float> TorchLinspace(double first, double last, int count);
// Half to even, as NumPy's and Python's round.
double RoundHalfEven(double x);

}  // namespace fovea
