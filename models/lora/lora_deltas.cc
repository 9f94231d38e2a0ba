#include "models/lora/lora_deltas.h"

#include <algorithm>
#include <optional>
#include <set>

#include "models/files/json_text.h"
#include "models/lora/layer_terms.h"
#include "models/lora/lora_file.h"
#include "models/lora/lora_keys.h"
#include "models/single_file/ldm_component.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr size_t kShown = 8;

bool IsDenoiser(const std::string& class_name) {
  return class_name == "UNet2DConditionModel" || class_name.ends_with("Transformer2DModel");
}

// As which of a file's components this one is served, in order of preference; empty: as none. A
// component alone is told by its class. T5 is the second encoder of FLUX and the third of SD3, and
// trainers of FLUX call it either.
std::vector<std::string> RolesOf(const ComponentFolder& component) {
  const std::string& name = component.name;
  const bool t5 = component.class_name == "T5EncoderModel";
  if (name == "unet" || name == "transformer") return {"unet"};
  if (name == "text_encoder_2" && t5) return {"text_encoder_2", "text_encoder_3"};
  if (name.starts_with("text_encoder")) return {name};
  if (!name.empty()) return {};
  if (IsDenoiser(component.class_name)) return {"unet"};
  if (t5) return {"text_encoder_3", "text_encoder_2"};
  if (component.class_name == "CLIPTextModel") return {"text_encoder"};
  if (component.class_name == "CLIPTextModelWithProjection") {
    return {"text_encoder_2", "text_encoder"};
  }
  return {};
}

// The first of the roles that the file has layers for; empty: none.
std::string ChooseRole(const std::vector<std::string>& roles, const LoraFile& file) {
  const auto found =
      std::find_if(roles.begin(), roles.end(), [&](const auto& role) { return file.Has(role); });
  return found == roles.end() ? "" : *found;
}

std::optional<LdmModule> ModuleOf(const std::string& class_name) {
  if (class_name == "UNet2DConditionModel") return LdmModule::kUNet;
  if (class_name == "SD3Transformer2DModel") return LdmModule::kSd3;
  if (class_name == "FluxTransformer2DModel") return LdmModule::kFlux;
  return std::nullopt;
}

// A name of a layer in files, with the rows of it that the model's has.
struct LayerName {
  std::string path;
  StoredTensor place;
};

class LoraDeltas final : public WeightDeltas {
 public:
  LoraDeltas(const ComponentFolder& component, const LdmLayout& layout)
      : name_(component.name.empty() ? component.class_name : component.name),
        module_(ModuleOf(component.class_name)),
        layout_(layout) {
    const auto roles = RolesOf(component);
    for (const LoraChoice& choice : component.loras) {
      auto lora = LoraFile::Open(choice.file);
      std::string role = ChooseRole(roles, *lora);
      if (role.empty()) continue;
      const double scale = choice.scales.Of(role);
      files_.push_back({std::move(lora), std::move(role), scale, {}, {}});
    }
  }

  std::shared_ptr<const WeightDelta> Find(std::string_view path,
                                          const Tensor& weight) const override;
  bool AddToVector(std::string_view name, HostTensor& values) const override;
  bool HasVector(std::string_view name) const override;
  void CheckAllUsed() const override;

 private:
  struct File {
    std::shared_ptr<const LoraFile> lora;
    std::string role;
    double scale;
    std::set<std::string> used;                             // layers whose weights were found
    std::set<std::pair<std::string, std::string>> vectors;  // and their other parts
  };

  std::vector<LayerName> NamesOf(std::string_view path, std::string_view tensor) const;
  template <class F>
  bool ForVectors(std::string_view name, F use) const;

  std::string name_;
  std::optional<LdmModule> module_;
  LdmLayout layout_;
  mutable std::vector<File> files_;
};

// A layer's names in files: its own, and a denoiser's original one, found by `tensor`, which may be
// any of the layer's; text encoders are named with and without "text_model".
std::vector<LayerName> LoraDeltas::NamesOf(std::string_view path, std::string_view tensor) const {
  std::vector<LayerName> names{{Underscored(path), {}}};
  if (module_) {
    for (StoredTensor& stored : LdmNames(*module_, tensor, layout_)) {
      const std::string name = Underscored(stored.name.substr(0, stored.name.rfind('.')));
      names.push_back({name, stored});
      if (stored.parts != 7 || stored.count != 1) continue;
      stored.parts = 3;  // XLabs' of FLUX's single blocks: without what is the MLP's
      names.push_back({name + "_qkv", stored});
    }
    return names;
  }
  constexpr std::string_view kPrefix = "text_model.";
  const bool prefixed = path.starts_with(kPrefix);
  names.push_back({prefixed ? Underscored(path.substr(kPrefix.size()))
                            : Underscored(std::string(kPrefix) + std::string(path)),
                   {}});
  return names;
}

std::shared_ptr<const WeightDelta> LoraDeltas::Find(std::string_view path,
                                                    const Tensor& weight) const {
  auto delta = std::make_shared<WeightDelta>();
  const std::vector<LayerName> names = NamesOf(path, std::string(path) + ".");
  for (File& file : files_) {
    for (const LayerName& name : names) {
      const std::string key = file.role + "/" + name.path;
      const auto layer = file.lora->Layers().find(key);
      if (layer == file.lora->Layers().end() || !layer->second.AddsToWeight()) continue;
      delta->terms.push_back(MakeTerm(*file.lora, layer->second, name.place, weight, file.scale));
      file.used.insert(key);
      break;
    }
  }
  if (delta->terms.empty()) return nullptr;
  return delta;
}

// use(file, key, layer, part, place) for what files add to the tensor `name`.
template <class F>
bool LoraDeltas::ForVectors(std::string_view name, F use) const {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return false;
  const bool bias = name.substr(dot) == ".bias";
  if (!bias && name.substr(dot) != ".weight") return false;
  const std::vector<std::string_view> parts =
      bias ? std::vector<std::string_view>{"bias", "diff_b", "b_norm"}
           : std::vector<std::string_view>{"w_norm", "diff"};
  const std::vector<LayerName> names = NamesOf(name.substr(0, dot), name);
  bool any = false;
  for (File& file : files_) {
    for (const LayerName& each : names) {
      const std::string key = file.role + "/" + each.path;
      const auto layer = file.lora->Layers().find(key);
      if (layer == file.lora->Layers().end()) continue;
      for (const std::string_view part : parts) {
        if (layer->second.Find(part) == nullptr) continue;
        use(file, key, layer->second, part, each.place);
        any = true;
      }
    }
  }
  return any;
}

bool LoraDeltas::HasVector(std::string_view name) const {
  return ForVectors(name, [](const auto&...) {});
}

bool LoraDeltas::AddToVector(std::string_view name, HostTensor& values) const {
  const std::span<float> sums(values.Data<float>(), static_cast<size_t>(values.NumElements()));
  return ForVectors(name, [&](File& file, const std::string& key, const LoraLayer& layer,
                              std::string_view part, const StoredTensor& place) {
    AddVector(*file.lora, layer, part, place, file.scale, sums);
    (part == "diff" ? (void)file.used.insert(key)
                    : (void)file.vectors.emplace(key, std::string(part)));
  });
}

void LoraDeltas::CheckAllUsed() const {
  for (const File& file : files_) {
    std::vector<std::string> unused;
    for (const auto& [key, layer] : file.lora->Layers()) {
      if (layer.component != file.role) continue;
      if (layer.AddsToWeight() && !file.used.contains(key)) unused.push_back(layer.name);
      for (const auto& [part, entry] : layer.parts) {
        const bool vector =
            part == "bias" || part == "diff_b" || part == "w_norm" || part == "b_norm";
        if (vector && !file.vectors.contains({key, part})) unused.push_back(entry->name);
      }
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
                                         name_ + " does not have: " + names +
                                         "; the LoRA is for another kind of model");
  }
}

}  // namespace

void AddLoras(ModelFolder& model, const std::vector<LoraChoice>& loras) {
  if (loras.empty()) return;
  bool alone = false;
  for (ComponentFolder& component : model.components) {
    alone = alone || component.name.empty();
    if (!RolesOf(component).empty()) component.loras = loras;
  }
  for (const LoraChoice& choice : loras) {
    const auto file = LoraFile::Open(choice.file);
    std::set<std::string> served;
    for (const ComponentFolder& component : model.components) {
      served.insert(ChooseRole(RolesOf(component), *file));
    }
    std::string missing;
    bool applies = false;
    for (const std::string& component : file->Components()) {
      applies = applies || served.contains(component);
      if (!served.contains(component)) missing += (missing.empty() ? "" : ", ") + component;
    }
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
