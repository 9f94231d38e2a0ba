#include "pipelines/forward/forward.h"

#include "models/component_weights.h"
#include "models/config.h"
#include "models/vit/timm_config.h"
#include "pipelines/forward/components.h"

namespace fovea {
namespace {

struct KnownClass {
  const char* name;
  std::unique_ptr<Component> (*load)(const Config&, std::shared_ptr<const WeightStore>,
                                     const std::filesystem::path&, Backend&);
};

constexpr KnownClass kClasses[] = {
    {"UNet2DConditionModel", LoadUNetComponent},
    {"SD3Transformer2DModel", LoadTransformerComponent},
    {"FluxTransformer2DModel", LoadTransformerComponent},
    {"DiTTransformer2DModel", LoadTransformerComponent},
    {"Transformer2DModel", LoadTransformerComponent},
    {"AutoencoderKL", LoadVaeComponent},
    {"CLIPTextModel", LoadClipTextComponent},
    {"CLIPTextModelWithProjection", LoadClipTextComponent},
    {"T5EncoderModel", LoadT5Component},
    {"CLIPVisionModel", LoadVitComponent},
    {"CLIPVisionModelWithProjection", LoadVitComponent},
    {"ViTModel", LoadVitComponent},
    {"ViTForImageClassification", LoadVitComponent},
    {"DeiTModel", LoadVitComponent},
    {"DeiTForImageClassification", LoadVitComponent},
    {"DeiTForImageClassificationWithTeacher", LoadVitComponent},
    {"Dinov2Model", LoadVitComponent},
    {"Dinov2WithRegistersModel", LoadVitComponent},
    {kTimmClass, LoadVitComponent},
};

}  // namespace

std::unique_ptr<Component> Component::Load(const ComponentFolder& folder, Backend& backend) {
  std::string known;
  for (const KnownClass& each : kClasses) {
    if (folder.class_name == each.name) {
      return each.load(ReadComponentConfig(folder), OpenWeights(folder), folder.folder, backend);
    }
    known += (known.empty() ? "" : ", ") + std::string(each.name);
  }
  throw Error(ErrorCode::kUnsupported, folder.folder.string() + ": the class \"" +
                                           folder.class_name +
                                           "\" is not one that can run; there are: " + known);
}

}  // namespace fovea
