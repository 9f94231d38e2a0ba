#include "models/load_denoiser.h"

#include "models/dit/dit_transformer.h"
#include "models/dit/flux_transformer.h"
#include "models/dit/sd3_transformer.h"
#include "models/unet/unet.h"

namespace fovea {
namespace {

template <class Model>
std::unique_ptr<Denoiser> LoadAs(const Config& config, std::shared_ptr<const WeightStore> weights) {
  return Model::Load(config, std::move(weights));
}

struct KnownClass {
  const char* name;
  std::unique_ptr<Denoiser> (*load)(const Config&, std::shared_ptr<const WeightStore>);
};

constexpr KnownClass kClasses[] = {
    {"UNet2DConditionModel", LoadAs<UNet2DConditionModel>},
    {"SD3Transformer2DModel", LoadAs<SD3Transformer2DModel>},
    {"FluxTransformer2DModel", LoadAs<FluxTransformer2DModel>},
    {"DiTTransformer2DModel", LoadAs<DiTTransformer2DModel>},
    {"Transformer2DModel", LoadAs<DiTTransformer2DModel>},
};

}  // namespace

std::unique_ptr<Denoiser> LoadDenoiser(const std::string& class_name, const Config& config,
                                       std::shared_ptr<const WeightStore> weights) {
  std::string known;
  for (const KnownClass& each : kClasses) {
    if (class_name == each.name) return each.load(config, std::move(weights));
    known += (known.empty() ? "" : ", ") + std::string(each.name);
  }
  throw Error(ErrorCode::kUnsupported,
              config.Where() + ": the class \"" + class_name +
                  "\" is not a denoiser that can run; there are: " + known);
}

}  // namespace fovea
