// DPM-Solver and DPM-Solver++, multistep, order 1 to 3, with and without noise, as diffusers'
// DPMSolverMultistepScheduler.
//
// Lu et al., "DPM-Solver" (2022) and "DPM-Solver++" (2022). A step is a linear combination of the
// latents, the newest prediction D0, its finite differences D1 and D2 in lambda, and noise.

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>

#include <nlohmann/json.hpp>

#include "pipelines/sampling/schedulers/flow_sigmas.h"
#include "pipelines/sampling/schedulers/samplers.h"
#include "pipelines/sampling/schedulers/sigma_schedule.h"
#include "tensor/error.h"

namespace fovea {
namespace {

enum class Algorithm : uint8_t { kOde, kOdePlus, kSde, kSdePlus };

bool IsSde(Algorithm a) {
  return a == Algorithm::kSde || a == Algorithm::kSdePlus;
}
bool PredictsClean(Algorithm a) {
  return a == Algorithm::kOdePlus || a == Algorithm::kSdePlus;
}

struct Weights {
  double latents = 1, d0 = 0, d1 = 0, d2 = 0, noise = 0;
};

// `curved`: D1 is weighed by its integral (heun, and order 3), not as at the middle of the step.
Weights StepWeights(Algorithm algorithm, const NoiseLevel& from, const NoiseLevel& to, int order,
                    bool curved) {
  const double h = to.lambda - from.lambda;
  Weights w;
  if (h == 0) return w;  // two equal noise levels: nothing to do
  switch (algorithm) {
    case Algorithm::kOdePlus: {
      const double e = std::expm1(-h);
      w.latents = to.sigma / from.sigma;
      w.d0 = -to.alpha * e;
      w.d1 = curved ? to.alpha * (e / h + 1) : w.d0 / 2;
      w.d2 = -to.alpha * ((e + h) / (h * h) - 0.5);
      break;
    }
    case Algorithm::kOde: {
      const double e = std::expm1(h);
      w.latents = to.alpha / from.alpha;
      w.d0 = -to.sigma * e;
      w.d1 = curved ? -to.sigma * (e / h - 1) : w.d0 / 2;
      w.d2 = -to.sigma * ((e - h) / (h * h) - 0.5);
      break;
    }
    case Algorithm::kSdePlus: {
      const double e = std::expm1(-2 * h);
      w.latents = to.sigma / from.sigma * std::exp(-h);
      w.d0 = -to.alpha * e;
      w.d1 = curved ? to.alpha * (e / (2 * h) + 1) : w.d0 / 2;
      w.d2 = to.alpha * ((-e - 2 * h) / (4 * h * h) - 0.5);
      w.noise = to.sigma * std::sqrt(-e);
      break;
    }
    case Algorithm::kSde: {
      const double e = std::expm1(h);
      w.latents = to.alpha / from.alpha;
      w.d0 = -2 * to.sigma * e;
      w.d1 = curved ? -2 * to.sigma * (e / h - 1) : w.d0 / 2;
      w.noise = to.sigma * std::sqrt(std::expm1(2 * h));
      break;
    }
  }
  if (order < 2) w.d1 = 0;
  if (order < 3) w.d2 = 0;
  return w;
}

class DpmSolverMultistep final : public Scheduler {
 public:
  DpmSolverMultistep(const Config& config, const SamplerChoice& choice, std::string_view algorithm)
      : schedule_(ReadNoiseSchedule(config, {.predicts_flow = true})) {
    ReadAlgorithm(config, algorithm);
    ReadFlow(config);
    const SigmaOptions options = ReadSigmaOptions(config);
    ramp_ = options.ramp;
    ends_at_zero_ = options.ends_at_zero;
    if (!PredictsClean(algorithm_) && ends_at_zero_) {
      throw Error(ErrorCode::kUnsupported, config.Where() +
                                               ": final_sigmas_type \"zero\" needs algorithm_type "
                                               "dpmsolver++ or sde-dpmsolver++");
    }
    if (flow_) {
      MakeFlowSigmas(config, options, choice);
    } else {
      MakeSigmas(config, options, choice.steps);
    }
  }

  std::string_view Name() const override {
    if (flow_) return "flow_dpmpp_2m";
    return IsSde(algorithm_) ? "dpmpp_2m_sde" : "dpmpp_2m";
  }
  std::string_view ScheduleType() const override { return ScheduleName(ramp_); }
  std::span<const double> Timesteps() const override { return timesteps_; }
  bool IsFlow() const override { return flow_; }
  double InitNoiseSigma() const override { return 1; }
  void ScaleModelInput(int /*i*/, std::span<float> /*latents*/) const override {}

  void Step(int i, std::span<const float> model_output, std::span<float> latents,
            const DrawNoise& draw) override {
    const NoiseLevel from = At(i), to = At(i + 1);
    Convert(from, model_output, latents);

    const int order = Order(i);
    const Weights w = StepWeights(algorithm_, from, to, order, heun_ || order == 3);
    const double h = to.lambda - from.lambda;
    const double r0 = order > 1 ? Gap(i) / h : 1, r1 = order > 2 ? Gap(i - 1) / h : 1;
    if (IsSde(algorithm_)) {
      drawn_.resize(latents.size());
      draw(drawn_);
    }
    const std::vector<float>& m0 = outputs_.front();
    for (size_t k = 0; k < latents.size(); ++k) {
      double d1 = 0, d2 = 0;
      if (order > 1) d1 = (static_cast<double>(m0[k]) - outputs_[1][k]) / r0;
      if (order > 2) {
        const double older = (static_cast<double>(outputs_[1][k]) - outputs_[2][k]) / r1;
        d2 = (d1 - older) / (r0 + r1);
        d1 += r0 * d2;
      }
      double x = w.latents * latents[k] + w.d0 * m0[k] + w.d1 * d1 + w.d2 * d2;
      if (w.noise != 0) x += w.noise * drawn_[k];
      latents[k] = static_cast<float>(x);
    }
  }

  std::span<const float> PredictedClean() const override { return clean_; }

  void AddNoise(int i, std::span<const float> noise, std::span<float> latents) const override {
    const NoiseLevel level = At(i);
    MixNoise(level.alpha, level.sigma, noise, latents);
  }

 private:
  void ReadAlgorithm(const Config& config, std::string_view algorithm) {
    constexpr Algorithm kAlgorithms[] = {Algorithm::kOde, Algorithm::kOdePlus, Algorithm::kSde,
                                         Algorithm::kSdePlus, Algorithm::kOdePlus};
    algorithm_ = kAlgorithms[ReadChoice(
        config, "algorithm_type",
        {"dpmsolver", "dpmsolver++", "sde-dpmsolver", "sde-dpmsolver++", "deis"}, 1)];
    if (algorithm == "sde-dpmsolver++") algorithm_ = Algorithm::kSdePlus;
    // diffusers takes the names of other solvers' types for midpoint.
    heun_ = ReadChoice(config, "solver_type", {"midpoint", "heun", "logrho", "bh1", "bh2"}, 0) == 1;
    order_ = static_cast<int>(config.Int("solver_order", 1, 3, 2));
    if (order_ == 3 && algorithm_ == Algorithm::kSde) {
      throw Error(ErrorCode::kUnsupported,
                  config.Where() + ": algorithm_type sde-dpmsolver has no solver_order 3");
    }
    lower_order_final_ = ReadFlag(config, "lower_order_final", true);
    euler_at_final_ = ReadFlag(config, "euler_at_final", false);
    if (ReadFlag(config, "thresholding", false)) {
      throw Error(ErrorCode::kUnsupported, config.Where() + ": thresholding is not supported");
    }
    if (config.Has("variance_type")) {
      throw Error(ErrorCode::kUnsupported,
                  config.Where() + ": variance_type (learned variances) is not supported");
    }
  }

  void ReadFlow(const Config& config) {
    flow_ = ReadFlag(config, "use_flow_sigmas", false);
    const bool predicts_flow = schedule_.prediction == PredictionType::kFlow;
    if (flow_ != predicts_flow) {
      throw Error(ErrorCode::kUnsupported,
                  config.Where() +
                      ": use_flow_sigmas true and prediction_type flow_prediction go together; one "
                      "without the other is not supported");
    }
    if (flow_ && !PredictsClean(algorithm_)) {
      throw Error(ErrorCode::kUnsupported,
                  config.Where() +
                      ": prediction_type flow_prediction needs algorithm_type "
                      "dpmsolver++ or sde-dpmsolver++");
    }
    if (!flow_ && ReadFlag(config, "use_dynamic_shifting", false)) {
      throw Error(ErrorCode::kUnsupported,
                  config.Where() + ": use_dynamic_shifting needs use_flow_sigmas");
    }
  }

  // diffusers' own grid, which ends a step above the lowest training step.
  void MakeFlowSigmas(const Config& config, const SigmaOptions& options,
                      const SamplerChoice& choice) {
    if (options.ramp != SigmaRamp::kNone || ReadFlag(config, "use_lu_lambdas", false)) {
      throw Error(ErrorCode::kUnsupported,
                  config.Where() +
                      ": flow_dpmpp_2m has flow matching's own noise levels, no ramp " +
                      "of sigmas; take flow_euler for use_karras_sigmas and its like");
    }
    const double shift = FlowShift(config, choice);
    const auto train_steps = static_cast<double>(schedule_.train_steps);
    std::vector<double> alphas = Linspace(1, 1 / train_steps, choice.steps + 1);
    for (int i = choice.steps; i >= 1; --i) {
      const double sigma = 1 - alphas[static_cast<size_t>(i)];
      const double shifted = shift * sigma / (1 + (shift - 1) * sigma);
      sigmas_.push_back(static_cast<float>(shifted));
      timesteps_.push_back(std::trunc(shifted * train_steps));
    }
    sigmas_.push_back(ends_at_zero_ ? 0 : TrainingSigmas(schedule_)[0]);
  }

  NoiseLevel At(int i) const {
    const double sigma = sigmas_[static_cast<size_t>(i)];
    return flow_ ? NoiseLevel(1 - sigma, sigma) : NoiseLevel(sigma);
  }

  // Training steps below which lambda is clipped away.
  int LastTimestep(const Config& config) const {
    double clip = -std::numeric_limits<double>::infinity();
    const auto found = config.Json().find("lambda_min_clipped");
    // Python writes minus infinity as a bare word, which our parser keeps as a text.
    if (found != config.Json().end() && *found != "-Infinity") {
      clip = config.Number("lambda_min_clipped", clip);
    }
    int kept = 0;
    for (const float a : schedule_.alphas_cumprod) {
      const float lambda = std::log(std::sqrt(a)) - std::log(std::sqrt(1.0f - a));
      if (lambda >= clip) ++kept;
    }
    if (kept == 0) {
      throw Error(ErrorCode::kBadFile, config.Where() + ": lambda_min_clipped leaves no timestep");
    }
    return kept;
  }

  void MakeSigmas(const Config& config, const SigmaOptions& options, int steps) {
    const std::vector<float> table = TrainingSigmas(schedule_), log_table = Logs(table);
    const bool lu = ReadFlag(config, "use_lu_lambdas", false);
    std::vector<double> sigmas;
    bool whole = true;
    if (options.ramp == SigmaRamp::kKarras || (lu && options.ramp == SigmaRamp::kNone)) {
      if (options.ramp == SigmaRamp::kKarras) {
        sigmas = RampSigmas(options.ramp, options.max.value_or(table.back()),
                            options.min.value_or(table.front()), steps);
      } else {
        for (const double x : Linspace(0, 1, steps)) {
          const double high = log_table.back(), low = log_table.front();
          sigmas.push_back(std::exp(high + x * (low - high)));
        }
      }
      whole = !schedule_.squared_cosine;
    } else if (options.ramp != SigmaRamp::kNone) {
      sigmas = RampSigmas(options.ramp, options.max.value_or(table.back()),
                          options.min.value_or(table.front()), steps);
      whole = false;
    }
    if (sigmas.empty()) {
      timesteps_ = SpacedForSolver(schedule_, LastTimestep(config), steps);
      sigmas = SigmasAt(table, timesteps_);
    } else {
      for (const double sigma : sigmas) {
        const double t = TimestepAt(sigma, log_table);
        timesteps_.push_back(whole ? RoundHalfEven(t) : std::trunc(t));
      }
    }
    sigmas.push_back(ends_at_zero_ ? 0 : table[0]);
    sigmas_.assign(sigmas.begin(), sigmas.end());
  }

  // The predictions that the differences are taken of: clean latents, or noise.
  void Convert(const NoiseLevel& at, std::span<const float> model_output,
               std::span<const float> latents) {
    std::vector<float> prediction;
    if (outputs_.size() == static_cast<size_t>(order_)) {
      prediction = std::move(outputs_.back());
      outputs_.pop_back();
    }
    prediction.resize(latents.size());
    clean_.resize(latents.size());
    for (size_t k = 0; k < latents.size(); ++k) {
      const double x = latents[k], m = model_output[k];
      double clean = m, epsilon = m;
      switch (schedule_.prediction) {
        case PredictionType::kEpsilon:
          clean = (x - at.sigma * m) / at.alpha;
          break;
        case PredictionType::kSample:
          epsilon = (x - at.alpha * m) / at.sigma;
          break;
        case PredictionType::kV:
          clean = at.alpha * x - at.sigma * m;
          epsilon = at.alpha * m + at.sigma * x;
          break;
        case PredictionType::kFlow:
          clean = x - at.sigma * m;
          break;
      }
      clean_[k] = static_cast<float>(clean);
      prediction[k] = static_cast<float>(PredictsClean(algorithm_) ? clean : epsilon);
    }
    outputs_.push_front(std::move(prediction));
  }

  int Order(int i) const {
    const int count = static_cast<int>(timesteps_.size());
    const bool few = lower_order_final_ && count < 15;
    int order = std::min<int>(order_, static_cast<int>(outputs_.size()));
    if (i == count - 1 && (euler_at_final_ || few || ends_at_zero_)) order = 1;
    if (i == count - 2 && few) order = std::min(order, 2);
    // Equal noise levels in a row have no difference quotient.
    if (order > 2 && Gap(i - 1) == 0) order = 2;
    if (order > 1 && Gap(i) == 0) order = 1;
    return order;
  }

  // From the noise level before call i to that of call i, in lambda.
  double Gap(int i) const { return At(i).lambda - At(i - 1).lambda; }

  NoiseSchedule schedule_;
  Algorithm algorithm_ = Algorithm::kOdePlus;
  bool flow_ = false;
  bool heun_ = false, lower_order_final_ = true, euler_at_final_ = false, ends_at_zero_ = true;
  int order_ = 2;
  SigmaRamp ramp_ = SigmaRamp::kNone;
  std::vector<double> timesteps_;
  std::vector<float> sigmas_;
  std::deque<std::vector<float>> outputs_;  // converted, the newest first
  std::vector<float> clean_, drawn_;
};

}  // namespace

std::unique_ptr<Scheduler> MakeDpmSolverMultistep(const Config& config, const SamplerChoice& choice,
                                                  std::string_view algorithm) {
  return std::make_unique<DpmSolverMultistep>(config, choice, algorithm);
}

}  // namespace fovea
