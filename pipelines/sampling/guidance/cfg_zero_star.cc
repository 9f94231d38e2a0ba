// CFG-Zero*: the negative answer is scaled to fit the prompt's before it is led away from, and the
// first steps of a flow stay where they are. Fan et al., "CFG-Zero*: Improved Classifier-Free
// Guidance for Flow Matching Models" (2025).
#include <array>

#include "pipelines/sampling/guidance/guidance_method.h"
#include "tensor/error.h"

namespace fovea {
namespace {

class CfgZeroStar final : public GuidanceMethod {
 public:
  explicit CfgZeroStar(int zero_steps) : zero_steps_(zero_steps) {}

  bool IsZero(int step) const override { return step < zero_steps_; }

  void Combine(const GuidedPicture& picture, std::span<double> out) override {
    double dot = 0, square = 1e-8;
    for (size_t k = 0; k < out.size(); ++k) {
      const double c = picture.conditional[k], u = picture.unconditional[k];
      dot += c * u;
      square += u * u;
    }
    for (size_t k = 0; k < out.size(); ++k) {
      const double u = dot / square * picture.unconditional[k];
      out[k] = u + picture.scale * (picture.conditional[k] - u);
    }
  }

 private:
  int zero_steps_;
};

constexpr std::array kArgs = {
    OpArg{"zero-steps", "auto", "first steps that are left out; auto: 1 for a flow, else 0"}};

}  // namespace

GuidanceMethodInfo CfgZeroStarMethod() {
  return {"cfg-zero-star", kArgs, GuidanceSpace::kOutput,
          "CFG with a fitted negative answer, and without the first steps of a flow",
          [](const OpArgs& args, bool flow) -> std::unique_ptr<GuidanceMethod> {
            const int steps =
                args.Has("zero-steps") ? args.Int("zero-steps", 0, 1 << 20) : (flow ? 1 : 0);
            // A velocity of zero means "stay here"; noise of zero means that all is done.
            if (steps > 0 && !flow) {
              throw Error(ErrorCode::kUnsupported,
                          "guidance: cfg-zero-star leaves steps out of flow matching only, which "
                          "this model is not of; give zero-steps=0");
            }
            return std::make_unique<CfgZeroStar>(steps);
          }};
}

}  // namespace fovea
