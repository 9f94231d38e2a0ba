#include "models/component_weights.h"

#include "models/clip/clip_pair.h"
#include "models/lora/lora_deltas.h"
#include "models/single_file/ldm_component.h"
#include "tensor/error.h"

namespace fovea {
namespace {

std::shared_ptr<const TensorNames> NamesOf(const ComponentFolder& component,
                                           const std::filesystem::path& config_json) {
  const auto file = SafetensorsFile::Open(component.single_file);
  const auto home = FindLdmHome(file->Header(), component.name, component.class_name);
  ENSURE(home.has_value(), component.name);
  return LdmTensorNames(*home, ReadLdmLayout(config_json));
}

}  // namespace

Config ReadComponentConfig(const ComponentFolder& component) {
  Config config = Config::ReadFile(component.folder / "config.json");
  return IsClipPair(config) ? ClipPairConfig(config, component.class_name) : std::move(config);
}

std::shared_ptr<WeightStore> OpenWeights(const ComponentFolder& component) {
  const std::filesystem::path config_json = component.folder / "config.json";
  const bool single = !component.single_file.empty();
  const auto store = single
                         ? WeightStore::Open(component.single_file, NamesOf(component, config_json))
                         : WeightStore::Open(component.folder, ClipPairNames(component.name));
  if (!component.overlay.empty()) store->SetOverlay(component.overlay);
  if (!component.loras.empty()) store->SetDeltas(OpenLoraDeltas(component, config_json));
  return store;
}

void AddOverlay(ModelFolder& model, const std::string& component,
                const std::filesystem::path& overlay) {
  for (ComponentFolder& each : model.components) {
    const bool denoiser = each.name == "unet" || each.name == "transformer" || each.name.empty();
    if (component.empty() ? !denoiser : each.name != component) continue;
    each.overlay = overlay;
    return;
  }
  throw Error(ErrorCode::kUnsupported, model.folder.string() + ": has no " +
                                           (component.empty() ? "denoiser" : component) +
                                           " whose tensors " + overlay.string() + " could replace");
}

}  // namespace fovea
