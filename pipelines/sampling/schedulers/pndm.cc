// PNDM. Liu et al., "Pseudo Numerical Methods for Diffusion Models on Manifolds" (2022), equations
// 9, 12 and 13: Runge-Kutta warm-up steps (prk), then linear multistep (plms).

#include <algorithm>
#include <cmath>
#include <deque>

#include "pipelines/sampling/schedulers/noise_schedule.h"
#include "pipelines/sampling/schedulers/samplers.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr size_t kOrder = 4;

class Pndm final : public Scheduler {
 public:
  Pndm(const Config& config, const SamplerChoice& choice)
      : schedule_(ReadNoiseSchedule(
            config,
            {.spacing = Spacing::kLeading, .has_rescale = false, .predicts_sample = false})),
        stride_(schedule_.train_steps / choice.steps) {
    final_alpha_ = ReadFlag(config, "set_alpha_to_one", false) ? 1.0 : schedule_.alphas_cumprod[0];
    std::vector<double> spaced = SpacedTimesteps(schedule_, choice.steps, true);
    // NumPy's arange overshoots for some numbers of trailing steps; -1 is no timestep.
    std::erase(spaced, -1.0);
    if (ReadFlag(config, "skip_prk_steps", false)) {
      // The second timestep twice: its first visit only improves the first step.
      timesteps_ = spaced;
      if (spaced.size() > 1) timesteps_.insert(timesteps_.begin() + 1, spaced[1]);
    } else {
      if (spaced.size() < kOrder) {
        throw Error(ErrorCode::kUsage,
                    "steps: PNDM with Runge-Kutta steps (skip_prk_steps false) "
                    "needs 4 or more");
      }
      RungeKuttaTimesteps(spaced);
      timesteps_ = prk_timesteps_;
      timesteps_.insert(timesteps_.end(), spaced.begin() + 3, spaced.end());
    }
    CheckTimesteps(schedule_, timesteps_);
  }

  std::string_view Name() const override { return "pndm"; }
  std::span<const double> Timesteps() const override { return timesteps_; }
  double InitNoiseSigma() const override { return 1; }
  void ScaleModelInput(int /*i*/, std::span<float> /*latents*/) const override {}

  void Step(int i, std::span<const float> model_output, std::span<float> latents,
            const DrawNoise& /*draw*/) override {
    PredictClean(timesteps_[static_cast<size_t>(i)], model_output, latents);
    combined_.assign(model_output.begin(), model_output.end());
    if (static_cast<size_t>(calls_) < prk_timesteps_.size()) {
      StepRungeKutta(i, model_output, latents);
    } else {
      StepMultistep(i, model_output, latents);
    }
    ++calls_;
  }

  std::span<const float> PredictedClean() const override { return clean_; }

  void AddNoise(int i, std::span<const float> noise, std::span<float> latents) const override {
    const double a = Alpha(timesteps_[static_cast<size_t>(i)]);
    MixNoise(std::sqrt(a), std::sqrt(1 - a), noise, latents);
  }

 private:
  using Output = std::vector<double>;

  // Four calls a step: at its start, twice in its middle, at its end; three such steps.
  void RungeKuttaTimesteps(const std::vector<double>& spaced) {
    const double half = static_cast<double>(static_cast<int>(stride_) / 2);
    for (size_t step = 0; step + 1 < kOrder; ++step) {
      const double start = spaced[step], end = spaced[step + 1];
      for (const double t : {start, end + half, end + half, end}) prk_timesteps_.push_back(t);
    }
  }

  void StepRungeKutta(int i, std::span<const float> model_output, std::span<float> latents) {
    const double half = static_cast<double>(static_cast<int>(stride_) / 2);
    const double before = timesteps_[static_cast<size_t>(i)] - (calls_ % 2 != 0 ? 0 : half);
    const double t = prk_timesteps_[static_cast<size_t>(calls_ / 4 * 4)];
    constexpr double kWeights[] = {1.0 / 6, 1.0 / 3, 1.0 / 3, 1.0 / 6};
    const double weight = kWeights[calls_ % 4];
    if (calls_ % 4 == 0) {
      Remember(model_output);
      start_.assign(latents.begin(), latents.end());
      average_.assign(latents.size(), 0.0);
    }
    for (size_t k = 0; k < latents.size(); ++k) average_[k] += weight * model_output[k];
    if (calls_ % 4 == 3) combined_ = average_;
    Move(t, before, start_, latents);
  }

  void StepMultistep(int i, std::span<const float> model_output, std::span<float> latents) {
    double t = timesteps_[static_cast<size_t>(i)], before = t - stride_;
    const bool second_visit = calls_ == 1;  // only without Runge-Kutta steps
    if (second_visit) {
      before = t;
      t += stride_;
    } else {
      Remember(model_output);
    }
    if (calls_ == 0) start_.assign(latents.begin(), latents.end());
    const size_t known = history_.size();
    for (size_t k = 0; k < latents.size(); ++k) {
      const auto past = [&](size_t age) { return history_[known - 1 - age][k]; };
      if (second_visit) {
        combined_[k] = (combined_[k] + past(0)) / 2;
      } else if (known == 2) {
        combined_[k] = (3 * past(0) - past(1)) / 2;
      } else if (known == 3) {
        combined_[k] = (23 * past(0) - 16 * past(1) + 5 * past(2)) / 12;
      } else if (known == 4) {
        combined_[k] = (55 * past(0) - 59 * past(1) + 37 * past(2) - 9 * past(3)) / 24;
      }
    }
    if (second_visit) {
      Move(t, before, start_, latents);
    } else {
      start_now_.assign(latents.begin(), latents.end());
      Move(t, before, start_now_, latents);
    }
  }

  void Remember(std::span<const float> model_output) {
    if (history_.size() == kOrder) history_.pop_front();
    history_.emplace_back(model_output.begin(), model_output.end());
  }

  // Equation 9: from `from`, standing at t, to `before`, along combined_.
  void Move(double t, double before, const std::vector<float>& from, std::span<float> latents) {
    ENSURE(from.size() == latents.size(), "pndm: calls out of order");
    const double a = Alpha(t), a_next = before >= 0 ? Alpha(before) : final_alpha_;
    const double signal = std::sqrt(a), noise = std::sqrt(1 - a);
    const double keep = std::sqrt(a_next / a);
    const double push =
        (a_next - a) / (a * std::sqrt(1 - a_next) + std::sqrt(a * (1 - a) * a_next));
    for (size_t k = 0; k < latents.size(); ++k) {
      const double epsilon = schedule_.prediction == PredictionType::kV
                                 ? signal * combined_[k] + noise * from[k]
                                 : combined_[k];
      latents[k] = static_cast<float>(keep * from[k] - push * epsilon);
    }
  }

  void PredictClean(double t, std::span<const float> model_output, std::span<const float> latents) {
    const double a = Alpha(t), signal = std::sqrt(a), noise = std::sqrt(1 - a);
    clean_.resize(latents.size());
    for (size_t k = 0; k < latents.size(); ++k) {
      const double x = latents[k], m = model_output[k];
      clean_[k] =
          static_cast<float>(schedule_.prediction == PredictionType::kV ? signal * x - noise * m
                                                                        : (x - noise * m) / signal);
    }
  }

  double Alpha(double t) const {
    const auto index = static_cast<size_t>(t);
    ENSURE(index < schedule_.alphas_cumprod.size());
    return schedule_.alphas_cumprod[index];
  }

  NoiseSchedule schedule_;
  double stride_;
  double final_alpha_ = 1;
  std::vector<double> timesteps_, prk_timesteps_;
  // So far. diffusers counts calls, not places in the list: a run that begins late (image to image)
  // makes its warm-up steps there, from the timesteps that it finds.
  int calls_ = 0;
  std::deque<std::vector<float>> history_;  // model outputs, the newest last
  std::vector<float> start_, start_now_, clean_;
  Output combined_, average_;
};

}  // namespace

std::unique_ptr<Scheduler> MakePndm(const Config& config, const SamplerChoice& choice) {
  return std::make_unique<Pndm>(config, choice);
}

}  // namespace fovea
