#include "pipelines/sampling/guidance.h"

#include <algorithm>
#include <cmath>

#include "pipelines/sampling/guidance/guidance_method.h"
#include "tensor/error.h"

namespace fovea {
namespace {

// Of one sample, unbiased, as torch.std.
double Deviation(std::span<const float> x) {
  double mean = 0, squares = 0;
  for (const double value : x) mean += value;
  mean /= static_cast<double>(x.size());
  for (const double value : x) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / (static_cast<double>(x.size()) - 1));
}

// A method for the prompt and the negative prompt, then the perturbed term, then rescale.
class MethodGuidance final : public Guidance {
 public:
  explicit MethodGuidance(const GuidanceSettings& settings)
      : settings_(settings),
        method_(MakeGuidanceMethod(settings.method, settings.flow)),
        branches_(settings.Branches()) {}

  std::span<const BranchKind> Branches() const override { return branches_; }
  bool KeepsState() const override { return settings_.HasUnconditional() && method_->KeepsState(); }

  std::span<const BranchKind> BranchesAt(int step, int steps) const override {
    const bool guided = !method_->IsZero(step) && settings_.interval.Holds(step, steps);
    const bool perturbed = guided && settings_.perturb_steps.Holds(step, steps);
    std::span<const BranchKind> asked = branches_;
    if (!guided && asked.front() == BranchKind::kUnconditional) asked = asked.subspan(1);
    if (!perturbed && asked.back() == BranchKind::kPerturbed) asked = asked.first(asked.size() - 1);
    return asked;
  }

  std::span<float> Combine(int step, int steps, std::span<float> outputs,
                           size_t pictures) override {
    const std::span<const BranchKind> asked = BranchesAt(step, steps);
    ENSURE(pictures > 0 && outputs.size() % (asked.size() * pictures) == 0);
    const size_t size = outputs.size() / (asked.size() * pictures);
    const std::span<float> guided = outputs.first(pictures * size);
    if (method_->IsZero(step)) {
      std::fill(guided.begin(), guided.end(), 0.0F);
      return guided;
    }
    if (asked.size() == 1) return guided;
    for (size_t i = 0; i < pictures; ++i) {
      GuidedPicture picture{step, i, settings_.scale, {}, {}};
      std::span<const float> perturbed;
      for (size_t b = 0; b < asked.size(); ++b) {
        const std::span<const float> answer = outputs.subspan((b * pictures + i) * size, size);
        if (asked[b] == BranchKind::kConditional) picture.conditional = answer;
        if (asked[b] == BranchKind::kUnconditional) picture.unconditional = answer;
        if (asked[b] == BranchKind::kPerturbed) perturbed = answer;
      }
      Combine(picture, perturbed, guided.subspan(i * size, size));
    }
    return guided;
  }

 private:
  // `out` may be one of the answers.
  void Combine(const GuidedPicture& picture, std::span<const float> perturbed,
               std::span<float> out) {
    const std::span<const float> conditional = picture.conditional;
    sum_.assign(conditional.begin(), conditional.end());
    if (!picture.unconditional.empty()) method_->Combine(picture, sum_);
    for (size_t k = 0; k < perturbed.size(); ++k) {
      sum_[k] += settings_.perturb_scale *
                 (static_cast<double>(conditional[k]) - static_cast<double>(perturbed[k]));
    }
    const double wanted = settings_.rescale > 0 ? Deviation(conditional) : 0;
    for (size_t k = 0; k < out.size(); ++k) out[k] = static_cast<float>(sum_[k]);
    if (settings_.rescale <= 0) return;
    const double now = Deviation(out);
    if (now == 0) return;
    const double factor = settings_.rescale * (wanted / now) + 1 - settings_.rescale;
    for (float& x : out) x = static_cast<float>(x * factor);
  }

  GuidanceSettings settings_;
  std::unique_ptr<GuidanceMethod> method_;
  std::vector<BranchKind> branches_;
  std::vector<double> sum_;  // of one picture
};

}  // namespace

std::vector<BranchKind> GuidanceSettings::Branches() const {
  std::vector<BranchKind> branches;
  if (HasUnconditional()) branches.push_back(BranchKind::kUnconditional);
  branches.push_back(BranchKind::kConditional);
  if (HasPerturbed()) branches.push_back(BranchKind::kPerturbed);
  return branches;
}

std::unique_ptr<Guidance> MakeGuidance(const GuidanceSettings& settings) {
  return std::make_unique<MethodGuidance>(settings);
}

}  // namespace fovea
