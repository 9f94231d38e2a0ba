#include "models/lora/lora_deltas.h"

#include <algorithm>
#include <set>

#include "models/files/json_text.h"
#include "models/files/safetensors.h"
#include "models/lora/lora_file.h"
#include "models/single_file/ldm_component.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr size_t kShown = 8;

// Which layers of a LoRA file a component takes; empty: none. A component alone is told by class.
std::string RoleOf(const ComponentFolder& component) {
  if (component.name == "unet" || component.name.starts_with("text_encoder")) {
    return component.name;
  }
  if (!component.name.empty()) return {};
  if (component.class_name == "UNet2DConditionModel") return "unet";
  if (component.class_name == "CLIPTextModel") return "text_encoder";
  if (component.class_name == "CLIPTextModelWithProjection") return "text_encoder_2";
  return {};
}

class LoraDeltas final : public WeightDeltas {
 public:
  LoraDeltas(const ComponentFolder& component, const LdmLayout& layout)
      : role_(RoleOf(component)), layout_(layout) {
    for (const LoraChoice& choice : component.loras) {
      files_.push_back({LoraFile::Open(choice.file), choice.scales.Of(role_), {}});
    }
  }

  std::shared_ptr<const WeightDelta> Find(std::string_view path, const Shape& shape) const override;
  void CheckAllUsed() const override;

 private:
  struct File {
    std::shared_ptr<const LoraFile> lora;
    double scale;
    std::set<std::string> used;
  };

  std::vector<std::string> KeysOf(std::string_view path) const;

  std::string role_;
  LdmLayout layout_;
  mutable std::vector<File> files_;
};

// A layer's names in LoRA files: its own, and in the U-Net the original one; text encoders are
// named with and without "text_model".
std::vector<std::string> LoraDeltas::KeysOf(std::string_view path) const {
  std::vector<std::string> keys{role_ + "/" + Underscored(path)};
  if (role_ == "unet") {
    for (const StoredTensor& stored :
         LdmNames(LdmModule::kUNet, std::string(path) + ".", layout_)) {
      std::string_view name = stored.name;
      name.remove_suffix(1);
      keys.push_back(role_ + "/" + Underscored(name));
    }
    return keys;
  }
  constexpr std::string_view kPrefix = "text_model.";
  const bool prefixed = path.starts_with(kPrefix);
  keys.push_back(role_ + "/" +
                 (prefixed ? Underscored(path.substr(kPrefix.size()))
                           : Underscored(std::string(kPrefix) + std::string(path))));
  return keys;
}

std::shared_ptr<const WeightDelta> LoraDeltas::Find(std::string_view path,
                                                    const Shape& shape) const {
  auto delta = std::make_shared<WeightDelta>();
  const std::vector<std::string> keys = KeysOf(path);
  for (File& file : files_) {
    for (const std::string& key : keys) {
      const auto layer = file.lora->Layers().find(key);
      if (layer == file.lora->Layers().end()) continue;
      delta->products.push_back(file.lora->Product(layer->second, shape, file.scale));
      file.used.insert(key);
      break;
    }
  }
  if (delta->products.empty()) return nullptr;
  return delta;
}

void LoraDeltas::CheckAllUsed() const {
  for (const File& file : files_) {
    std::vector<std::string> unused;
    for (const auto& [key, layer] : file.lora->Layers()) {
      if (layer.component == role_ && !file.used.contains(key)) unused.push_back(layer.name);
    }
    if (unused.empty()) continue;
    std::sort(unused.begin(), unused.end());
    std::string names;
    for (size_t i = 0; i < std::min(unused.size(), kShown); ++i) {
      names += (i == 0 ? "" : ", ") + Printable(unused[i]);
    }
    if (unused.size() > kShown) {
      names += " and " + std::to_string(unused.size() - kShown) + " more";
    }
    throw Error(ErrorCode::kBadFile, file.lora->Path().string() + ": layers that the model's " +
                                         role_ + " does not have: " + names +
                                         "; the LoRA is for another kind of model");
  }
}

// The names of LoRA files for transformers are of many kinds, none of which is read.
void RefuseForTransformer(const ModelFolder& model, const std::filesystem::path& file) {
  const auto transformer = std::find_if(
      model.components.begin(), model.components.end(),
      [](const auto& component) { return component.class_name.ends_with("Transformer2DModel"); });
  if (transformer == model.components.end()) return;
  const auto opened = SafetensorsFile::Open(file);
  for (const TensorEntry& entry : opened->Header().tensors) {
    if (entry.name.starts_with("lora_te") || entry.name.starts_with("text_encoder")) continue;
    throw Error(ErrorCode::kUnsupported,
                file.string() + ": LoRA is for U-Nets and CLIP text encoders; " +
                    transformer->class_name + " takes none (tensor " + Printable(entry.name) +
                    "); leave it out, or give whole tensors with --overlay");
  }
}

}  // namespace

void AddLoras(ModelFolder& model, const std::vector<LoraChoice>& loras) {
  if (loras.empty()) return;
  std::set<std::string> roles;
  bool alone = false;
  for (ComponentFolder& component : model.components) {
    const std::string role = RoleOf(component);
    alone = alone || component.name.empty();
    if (role.empty()) continue;
    roles.insert(role);
    component.loras = loras;
  }
  for (const LoraChoice& choice : loras) {
    RefuseForTransformer(model, choice.file);
    std::string missing;
    const auto file = LoraFile::Open(choice.file);
    for (const std::string& component : file->Components()) {
      if (roles.contains(component)) continue;
      missing += (missing.empty() ? "" : ", ") + component;
    }
    const bool applies = !alone || std::any_of(roles.begin(), roles.end(), [&](const auto& role) {
      const auto components = file->Components();
      return std::find(components.begin(), components.end(), role) != components.end();
    });
    if (missing.empty() || (alone && applies)) continue;
    throw Error(ErrorCode::kBadFile, choice.file.string() + ": has layers for " + missing +
                                         ", which " + model.folder.string() + " does not have");
  }
}

std::shared_ptr<const WeightDeltas> OpenLoraDeltas(const ComponentFolder& component,
                                                   const std::filesystem::path& config_json) {
  return std::make_shared<LoraDeltas>(component, ReadLdmLayout(config_json));
}

}  // namespace fovea
