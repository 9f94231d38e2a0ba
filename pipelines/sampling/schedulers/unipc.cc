// UniPC, multistep. Zhao et al., "UniPC: A Unified Predictor-Corrector Framework for Fast Sampling
// of Diffusion Models" (2023), algorithms 5 to 8, as diffusers' UniPCMultistepScheduler.
//
// Both halves of a step are linear combinations of the latents where the step began, the prediction
// there (m0) and differences of other predictions to it, weighed so that polynomials in lambda are
// integrated exactly. The corrector also knows the prediction where the step ended.

#include <algorithm>
#include <cmath>
#include <deque>
#include <set>

#include <nlohmann/json.hpp>

#include "pipelines/sampling/schedulers/samplers.h"
#include "pipelines/sampling/schedulers/sigma_schedule.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr int kMaxOrder = 8;

// Solves the square system a x = b by elimination with pivots; a is row by row.
std::vector<double> Solve(std::vector<double> a, std::vector<double> b) {
  const size_t n = b.size();
  for (size_t column = 0; column < n; ++column) {
    size_t pivot = column;
    for (size_t row = column + 1; row < n; ++row) {
      if (std::abs(a[row * n + column]) > std::abs(a[pivot * n + column])) pivot = row;
    }
    for (size_t k = 0; k < n; ++k) std::swap(a[column * n + k], a[pivot * n + k]);
    std::swap(b[column], b[pivot]);
    for (size_t row = column + 1; row < n; ++row) {
      const double factor = a[row * n + column] / a[column * n + column];
      for (size_t k = column; k < n; ++k) a[row * n + k] -= factor * a[column * n + k];
      b[row] -= factor * b[column];
    }
  }
  for (size_t row = n; row-- > 0;) {
    for (size_t k = row + 1; k < n; ++k) b[row] -= a[row * n + k] * b[k];
    b[row] /= a[row * n + row];
  }
  return b;
}

class UniPc final : public Scheduler {
 public:
  UniPc(const Config& config, const SamplerChoice& choice)
      : schedule_(ReadNoiseSchedule(config, {})) {
    // diffusers takes the names of other solvers' types for bh2.
    bh1_ = ReadChoice(config, "solver_type", {"bh2", "bh1", "midpoint", "heun", "logrho"}, 0) == 1;
    order_ = static_cast<int>(config.Int("solver_order", 1, kMaxOrder, 2));
    predicts_clean_ = ReadFlag(config, "predict_x0", true);
    lower_order_final_ = ReadFlag(config, "lower_order_final", true);
    ReadDisabledCorrector(config);
    for (const std::string_view field :
         {"thresholding", "use_flow_sigmas", "use_dynamic_shifting"}) {
      if (ReadFlag(config, field, false)) Refuse(config, std::string(field) + " is not supported");
    }
    if (config.Has("solver_p")) Refuse(config, "solver_p (another predictor) is not supported");
    const SigmaOptions options = ReadSigmaOptions(config);
    ramp_ = options.ramp;
    if (options.ends_at_zero && !predicts_clean_) {
      Refuse(config, "final_sigmas_type \"zero\" needs predict_x0");
    }
    MakeSigmas(options, choice.steps);
  }

  std::string_view Name() const override { return "unipc"; }
  std::string_view ScheduleType() const override { return ScheduleName(ramp_); }
  std::span<const double> Timesteps() const override { return timesteps_; }
  double InitNoiseSigma() const override { return 1; }
  void ScaleModelInput(int /*i*/, std::span<float> /*latents*/) const override {}

  void Step(int i, std::span<const float> model_output, std::span<float> latents,
            const DrawNoise& /*draw*/) override {
    Convert(At(i), model_output, latents);
    if (i > 0 && !outputs_.empty() && !uncorrected_.contains(i - 1)) Correct(i, latents);
    if (outputs_.size() == static_cast<size_t>(order_)) outputs_.pop_back();
    outputs_.push_front(converted_);

    const int left = static_cast<int>(timesteps_.size()) - i;
    step_order_ = std::min(lower_order_final_ ? std::min(order_, left) : order_,
                           static_cast<int>(outputs_.size()));
    begin_.assign(latents.begin(), latents.end());
    Predict(i, latents);
  }

  std::span<const float> PredictedClean() const override { return clean_; }

  void AddNoise(int i, std::span<const float> noise, std::span<float> latents) const override {
    const NoiseLevel level = At(i);
    MixNoise(level.alpha, level.sigma, noise, latents);
  }

 private:
  [[noreturn]] static void Refuse(const Config& config, const std::string& what) {
    throw Error(ErrorCode::kUnsupported, config.Where() + ": " + what);
  }

  void ReadDisabledCorrector(const Config& config) {
    if (!config.Has("disable_corrector")) return;
    for (const double step : config.Numbers("disable_corrector")) {
      uncorrected_.insert(static_cast<int>(std::clamp(step, -1.0, 1e9)));
    }
  }

  void MakeSigmas(const SigmaOptions& options, int steps) {
    const std::vector<float> table = TrainingSigmas(schedule_), log_table = Logs(table);
    std::vector<double> sigmas;
    double last = 0;
    if (ramp_ == SigmaRamp::kNone) {
      timesteps_ = SpacedForSolver(schedule_, schedule_.train_steps, steps);
      sigmas = SigmasAt(table, timesteps_);
      last = table[0];
    } else {
      sigmas = RampSigmas(ramp_, options.max.value_or(table.back()),
                          options.min.value_or(table.front()), steps);
      for (const double sigma : sigmas) {
        const double t = TimestepAt(sigma, log_table);
        timesteps_.push_back(ramp_ == SigmaRamp::kKarras ? RoundHalfEven(t) : std::trunc(t));
      }
      last = sigmas.back();
    }
    sigmas.push_back(options.ends_at_zero ? 0 : last);
    sigmas_.assign(sigmas.begin(), sigmas.end());
  }

  NoiseLevel At(int i) const { return NoiseLevel(sigmas_[static_cast<size_t>(i)]); }

  void Convert(const NoiseLevel& at, std::span<const float> model_output,
               std::span<const float> latents) {
    clean_.resize(latents.size());
    converted_.resize(latents.size());
    for (size_t k = 0; k < latents.size(); ++k) {
      const double x = latents[k], m = model_output[k];
      double clean = m, noise = m;
      switch (schedule_.prediction) {
        case PredictionType::kEpsilon:
          clean = (x - at.sigma * m) / at.alpha;
          break;
        case PredictionType::kSample:
          noise = (x - at.alpha * m) / at.sigma;
          break;
        case PredictionType::kV:
          clean = at.alpha * x - at.sigma * m;
          noise = at.alpha * m + at.sigma * x;
          break;
        case PredictionType::kFlow:
          ENSURE(false, "refused when read");
      }
      clean_[k] = static_cast<float>(clean);
      converted_[k] = static_cast<float>(predicts_clean_ ? clean : noise);
    }
  }

  // One step from level `from` (index) to the next: latents = a x + b m0 + sum of w_j (m_j - m0).
  struct Combination {
    double latents = 1, m0 = 0;
    std::vector<double> differences;  // of older predictions, the newest first
    double end = 0;                   // of the prediction where the step ends
  };

  Combination Weigh(int from, int order, bool corrects) const {
    const NoiseLevel s = At(from), t = At(from + 1);
    const double h = t.lambda - s.lambda;
    Combination c;
    if (h == 0) return c;       // two equal noise levels: nothing to do
    std::vector<double> nodes;  // where older predictions lie, in steps
    for (int j = 1; j < order; ++j) {
      const double node = (At(from - j).lambda - s.lambda) / h;
      if (node == 0) break;  // equal noise levels have no difference quotient
      nodes.push_back(node);
    }
    if (corrects) nodes.push_back(1);

    const double hh = predicts_clean_ ? -h : h, e = std::expm1(hh), scale = bh1_ ? hh : e;
    const double out = predicts_clean_ ? t.alpha : t.sigma;
    c.latents = predicts_clean_ ? t.sigma / s.sigma : t.alpha / s.alpha;
    c.m0 = -out * e;
    if (nodes.empty()) return c;
    const size_t n = nodes.size();
    std::vector<double> powers(n * n), moments(n);
    double phi = e / hh - 1, factorial = 1;
    for (size_t row = 0; row < n; ++row) {
      for (size_t k = 0; k < n; ++k) {
        powers[row * n + k] = std::pow(nodes[k], static_cast<double>(row));
      }
      moments[row] = phi * factorial / scale;
      factorial *= static_cast<double>(row) + 2;
      phi = phi / hh - 1 / factorial;
    }
    // With a single node diffusers takes a half, as the paper's simplified version does.
    std::vector<double> weights = n == 1 ? std::vector<double>{0.5} : Solve(powers, moments);
    for (double& w : weights) w *= -out * scale;
    if (corrects) {
      c.end = weights.back();
      weights.pop_back();
    }
    for (size_t j = 0; j < weights.size(); ++j) weights[j] /= nodes[j];
    c.differences = std::move(weights);
    return c;
  }

  void Apply(const Combination& c, std::span<float> latents) const {
    const std::vector<float>& m0 = outputs_.front();
    for (size_t k = 0; k < latents.size(); ++k) {
      double x = c.latents * begin_[k] + c.m0 * m0[k];
      for (size_t j = 0; j < c.differences.size(); ++j) {
        x += c.differences[j] * (static_cast<double>(outputs_[j + 1][k]) - m0[k]);
      }
      if (c.end != 0) x += c.end * (static_cast<double>(converted_[k]) - m0[k]);
      latents[k] = static_cast<float>(x);
    }
  }

  // The step that led here, again, now that the prediction here is known.
  void Correct(int i, std::span<float> latents) const {
    Apply(Weigh(i - 1, step_order_, true), latents);
  }

  void Predict(int i, std::span<float> latents) const {
    const bool ends_at_zero = sigmas_[static_cast<size_t>(i) + 1] == 0;
    if (ends_at_zero) {  // the limit of every order
      std::copy(outputs_.front().begin(), outputs_.front().end(), latents.begin());
      return;
    }
    Apply(Weigh(i, step_order_, false), latents);
  }

  NoiseSchedule schedule_;
  SigmaRamp ramp_ = SigmaRamp::kNone;
  bool bh1_ = false, predicts_clean_ = true, lower_order_final_ = true;
  int order_ = 2, step_order_ = 1;
  std::set<int> uncorrected_;  // disable_corrector
  std::vector<double> timesteps_;
  std::vector<float> sigmas_;
  std::deque<std::vector<float>> outputs_;  // converted, the newest first
  std::vector<float> clean_, converted_, begin_;
};

}  // namespace

std::unique_ptr<Scheduler> MakeUniPc(const Config& config, const SamplerChoice& choice) {
  return std::make_unique<UniPc>(config, choice);
}

}  // namespace fovea
