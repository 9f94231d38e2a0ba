#include "models/lora/lora_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <span>

#include "models/files/json_text.h"
#include "models/files/text_file.h"
#include "models/lora/lora_keys.h"
#include "tensor/error.h"
#include "tensor/finite.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

constexpr size_t kConfigBytes = size_t{16} << 20;

[[noreturn]] void Bad(const fs::path& path, const std::string& what) {
  throw Error(ErrorCode::kBadFile, path.string() + ": " + what);
}

struct MethodParts {
  LoraMethod method;
  std::vector<std::string_view> needed, more;
};

// Whole factors and low-rank ones of LoKr have names of their own.
const std::vector<MethodParts>& Methods() {
  static const std::vector<MethodParts> methods = {
      {LoraMethod::kProduct, {"down", "up"}, {"mid"}},
      {LoraMethod::kHadamard,
       {"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"},
       {"hada_t1", "hada_t2"}},
      {LoraMethod::kKronecker,
       {},
       {"lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"}},
      {LoraMethod::kWhole, {"diff"}, {}},
      {LoraMethod::kFactors, {"weight", "on_input"}, {}},
      {LoraMethod::kRotations, {"oft_blocks"}, {"rescale"}},
  };
  return methods;
}

bool Contains(const std::vector<std::string_view>& list, std::string_view part) {
  return std::find(list.begin(), list.end(), part) != list.end();
}

// What of LoKr's and Tucker's parts must come together; empty: nothing lacks.
std::string_view LackingPart(const LoraLayer& layer) {
  const auto has = [&](std::string_view part) { return layer.Find(part) != nullptr; };
  if (layer.method == LoraMethod::kKronecker) {
    for (const auto& [whole, a, b] :
         {std::tuple("lokr_w1", "lokr_w1_a", "lokr_w1_b"), {"lokr_w2", "lokr_w2_a", "lokr_w2_b"}}) {
      if (has(whole)) continue;
      if (!has(a)) return has(b) ? a : whole;
      if (!has(b)) return b;
    }
  }
  if (has("hada_t1") != has("hada_t2")) return has("hada_t1") ? "hada_t2" : "hada_t1";
  return {};
}

}  // namespace

const TensorEntry* LoraLayer::Find(std::string_view part) const {
  const auto found = parts.find(part);
  return found == parts.end() ? nullptr : found->second;
}

void LoraFile::AddTensor(const TensorEntry& entry, std::vector<std::string>& strays) {
  const ParsedLoraKey parsed = ParseLoraKey(entry.name);
  const std::string tensor = "tensor " + Printable(entry.name);
  if (!parsed.refusal.empty()) {
    throw Error(ErrorCode::kUnsupported,
                Path().string() + ": " + tensor + " is of " + parsed.refusal +
                    ", which is not read; LoRA, LoHa, LoKr, DoRA, IA3, OFT and differences are");
  }
  if (!parsed.known) {
    strays.push_back(entry.name);
    return;
  }
  if (!entry.refusal.empty()) Bad(Path(), tensor + " " + entry.refusal);
  const LoraKey& key = parsed.key;
  LoraLayer& layer = layers_[key.component + "/" + key.path];
  const auto [at, is_new] = layer.parts.emplace(key.part, &entry);
  if (!is_new) {
    Bad(Path(), tensor + " and " + Printable(at->second->name) + " are of one layer");
  }
  const bool number = key.part == "alpha" || key.part == "on_input";
  if (number && entry.shape.NumElements() != 1) {
    Bad(Path(), tensor + " has shape " + entry.shape.ToString() + ", but must be one number");
  }
  if (key.part == "alpha" && entry.dtype == DType::kBool) {
    Bad(Path(), tensor + " has dtype BOOL, but must be one number");
  }
  if (!number && !IsFloat(entry.dtype)) {
    Bad(Path(), tensor + " has dtype " + entry.file_dtype + ", but must hold floats");
  }
  if (layer.name.empty()) layer.name = key.layer;
  layer.component = key.component;
}

void LoraFile::Finish(LoraLayer& layer, const LoraSettings& settings,
                      const std::string& where) const {
  const std::string name = "layer " + Printable(layer.name);
  std::string_view other;  // a part of a method, once one is known
  for (const MethodParts& each : Methods()) {
    std::string_view own;
    for (const auto& [part, entry] : layer.parts) {
      if (Contains(each.needed, part) || Contains(each.more, part)) own = part;
    }
    if (own.empty()) continue;
    if (layer.AddsToWeight()) {
      Bad(Path(), name + " has " + std::string(other) + " and " + std::string(own) +
                      ", which are of two methods");
    }
    layer.method = each.method;
    other = own;
    for (const std::string_view needed : each.needed) {
      if (layer.Find(needed) != nullptr) continue;
      // IA3's only tensor is called as those of whole models are.
      if (needed == "on_input") Bad(Path(), name + " has a weight of no adapter");
      Bad(Path(), name + " lacks its " + std::string(needed) + " matrix");
    }
  }
  if (const auto lacking = LackingPart(layer); !lacking.empty()) {
    Bad(Path(), name + " lacks its " + std::string(lacking) + " matrix");
  }
  const bool vectors = std::any_of(layer.parts.begin(), layer.parts.end(), [](const auto& part) {
    return part.first == "bias" || part.first == "diff_b" || part.first == "w_norm" ||
           part.first == "b_norm";
  });
  if (!layer.AddsToWeight() && !vectors) Bad(Path(), name + " lacks its down and up matrices");
  if (const TensorEntry* alpha = layer.Find("alpha")) {
    layer.scaling = LoraScaling{double{Read(*alpha).Data<float>()[0]}};
  } else {
    layer.scaling = settings.Of(layer.component, layer.name, where);
  }
  const LoraSettings::Component* own = settings.Find(layer.component);
  if (layer.method == LoraMethod::kProduct && own != nullptr && own->magnitudes &&
      layer.Find("magnitude") == nullptr) {
    Bad(Path(), name + " lacks its magnitude; use_dora says that it has one");
  }
}

std::shared_ptr<const LoraFile> LoraFile::Open(const fs::path& path) {
  std::shared_ptr<LoraFile> lora(new LoraFile);
  lora->file_ = SafetensorsFile::Open(path);
  const SafetensorsHeader& header = lora->file_->Header();
  std::vector<std::string> strays;
  for (const TensorEntry& entry : header.tensors) lora->AddTensor(entry, strays);
  if (!strays.empty()) {
    std::string list;
    for (size_t i = 0; i < std::min<size_t>(strays.size(), 5); ++i) {
      list += (list.empty() ? "" : ", ") + Printable(strays[i]);
    }
    Bad(path, "tensors that are of no LoRA: " + list +
                  (strays.size() > 5 ? " and " + std::to_string(strays.size() - 5) + " more" : ""));
  }
  if (lora->layers_.empty()) Bad(path, "holds no LoRA: it has no tensors");
  LoraSettings settings = ReadLoraMetadata(header.metadata, path.string());
  std::string where = path.string() + ": lora_adapter_metadata";
  if (path.filename() == "adapter_model.safetensors") {
    const fs::path config = path.parent_path() / "adapter_config.json";
    std::error_code error;
    if (!fs::exists(config, error)) {
      Bad(path, "adapter_config.json, which has its alpha, is not beside it");
    }
    where = config.string() + ":";
    settings = ParseAdapterConfig(ReadTextFile(config, kConfigBytes), config.string());
  }
  for (auto& [key, layer] : lora->layers_) lora->Finish(layer, settings, where);
  return lora;
}

std::vector<std::string> LoraFile::Components() const {
  std::set<std::string> names;
  for (const auto& [key, layer] : layers_) names.insert(layer.component);
  return {names.begin(), names.end()};
}

bool LoraFile::Has(std::string_view component) const {
  return std::any_of(layers_.begin(), layers_.end(),
                     [&](const auto& each) { return each.second.component == component; });
}

Tensor LoraFile::View(const TensorEntry& entry) const {
  const Tensor view = file_->View(entry);
  if (AllFinite(view)) return view;
  Bad(Path(), "tensor " + Printable(entry.name) + " holds NaN or infinity; the file is damaged");
}

HostTensor LoraFile::Read(const TensorEntry& entry) const {
  const Tensor view = View(entry);
  HostTensor copy(view.shape, view.dtype);
  if (copy.Bytes() > 0) std::memcpy(copy.data(), view.data, copy.Bytes());
  if (entry.dtype != DType::kBool) return copy.ToF32();
  HostTensor values(view.shape, DType::kF32);
  for (int64_t i = 0; i < values.NumElements(); ++i) {
    values.Data<float>()[i] = copy.Data<bool>()[i] ? 1.0f : 0.0f;
  }
  return values;
}

void LoraFile::ThrowUnfit(const LoraLayer& layer, const Shape& weight) const {
  std::string parts;
  for (const auto& [part, entry] : layer.parts) {
    if (part == "alpha") continue;
    parts += (parts.empty() ? "" : ", ") + Printable(entry->name) + " " + entry->shape.ToString();
  }
  Bad(Path(), "layer " + Printable(layer.name) + " does not fit a weight of shape " +
                  weight.ToString() + ": " + parts);
}

}  // namespace fovea
