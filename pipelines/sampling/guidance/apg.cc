// Adaptive projected guidance: the difference of the two answers is smoothed over steps, bounded
// in length, and split along the prompt's answer, whose direction alone makes colours too strong.
// Sadat et al., "Eliminating Oversaturation and Artifacts of High Guidance Scales in Diffusion
// Models" (2024), as diffusers has it: u + scale (across + eta along).
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "pipelines/sampling/guidance/guidance_method.h"

namespace fovea {
namespace {

double Norm(std::span<const double> x) {
  double sum = 0;
  for (const double value : x) sum += value * value;
  return std::sqrt(sum);
}

class Apg final : public GuidanceMethod {
 public:
  Apg(double eta, double radius, double momentum)
      : eta_(eta), radius_(radius), momentum_(momentum) {}

  bool KeepsState() const override { return momentum_ != 0; }

  void Combine(const GuidedPicture& picture, std::span<double> out) override {
    const size_t size = out.size();
    if (averages_.size() <= picture.index) averages_.resize(picture.index + 1);
    std::vector<double>& average = averages_[picture.index];
    average.resize(size);  // zeros at first
    for (size_t k = 0; k < size; ++k) {
      const double difference = static_cast<double>(picture.conditional[k]) -
                                static_cast<double>(picture.unconditional[k]);
      average[k] = difference + momentum_ * average[k];
      out[k] = average[k];
    }
    const double norm = Norm(out);
    const double factor = radius_ > 0 && norm > radius_ ? radius_ / norm : 1;
    double along = 0, square = 0;
    for (size_t k = 0; k < size; ++k) {
      const double c = picture.conditional[k];
      out[k] *= factor;
      along += out[k] * c;
      square += c * c;
    }
    along /= std::max(square, 1e-24);
    for (size_t k = 0; k < size; ++k) {
      const double parallel = along * static_cast<double>(picture.conditional[k]);
      const double update = out[k] - parallel + eta_ * parallel;
      out[k] = static_cast<double>(picture.unconditional[k]) + picture.scale * update;
    }
  }

 private:
  double eta_, radius_, momentum_;
  std::vector<std::vector<double>> averages_;  // a picture's differences so far
};

constexpr std::array kArgs = {
    OpArg{"eta", "1", "share of the part along the prompt's answer that is kept"},
    OpArg{"r", "15", "greatest length of the difference; 0: no bound"},
    OpArg{"momentum", "0", "share of the last step's difference; below 0 leads away from it"},
};

}  // namespace

GuidanceMethodInfo ApgMethod() {
  return {"apg", kArgs, GuidanceSpace::kOutput, "adaptive projected guidance",
          [](const OpArgs& args, bool) -> std::unique_ptr<GuidanceMethod> {
            return std::make_unique<Apg>(args.Number("eta", -100, 100), args.Number("r", 0, 1e9),
                                         args.Number("momentum", -1, 1));
          }};
}

}  // namespace fovea
