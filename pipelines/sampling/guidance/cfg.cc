// Classifier-free guidance: u + scale (c - u). Ho and Salimans, "Classifier-Free Diffusion
// Guidance" (2022), in Imagen's form: 1 is the prompt alone.
#include "pipelines/sampling/guidance/guidance_method.h"

namespace fovea {
namespace {

class Cfg final : public GuidanceMethod {
 public:
  void Combine(const GuidedPicture& picture, std::span<double> out) override {
    for (size_t k = 0; k < out.size(); ++k) {
      const double u = picture.unconditional[k];
      out[k] = u + picture.scale * (picture.conditional[k] - u);
    }
  }
};

}  // namespace

GuidanceMethodInfo CfgMethod() {
  return {"cfg",
          {},
          GuidanceSpace::kAny,
          "classifier-free guidance",
          [](const OpArgs&, bool) -> std::unique_ptr<GuidanceMethod> {
            return std::make_unique<Cfg>();
          }};
}

}  // namespace fovea
