#include "models/lora/lora_metadata.h"

#include <cmath>

#include <nlohmann/json.hpp>

#include "models/files/json_text.h"
#include "tensor/error.h"

namespace fovea {
namespace {

using nlohmann::json;

constexpr const char* kField = "lora_adapter_metadata";
constexpr JsonLimits kLimits = {.bytes = size_t{16} << 20, .depth = 16};

double ParseAlpha(const json& value, const std::string& where) {
  if (!value.is_number() || !std::isfinite(value.get<double>())) {
    throw Error(ErrorCode::kBadFile, where + " must be a number, but is " + Brief(value));
  }
  return value.get<double>();
}

}  // namespace

std::optional<double> LoraMetadata::Alpha(const std::string& component,
                                          std::string_view layer) const {
  const auto found = components.find(component);
  if (found == components.end()) return std::nullopt;
  for (const auto& [ending, alpha] : found->second.pattern) {
    if (!layer.ends_with(ending)) continue;
    const size_t begin = layer.size() - ending.size();
    if (begin == 0 || layer[begin - 1] == '.') return alpha;
  }
  return found->second.alpha;
}

LoraMetadata ReadLoraMetadata(const std::map<std::string, std::string>& metadata,
                              const std::string& where) {
  LoraMetadata out;
  const auto text = metadata.find(kField);
  if (text == metadata.end()) return out;
  const std::string source = where + ": " + kField;
  const json fields = ParseJson(text->second, source, kLimits);
  if (!fields.is_object()) {
    throw Error(ErrorCode::kBadFile, source + " must be an object, but is " + Brief(fields));
  }
  for (const auto& [name, value] : fields.items()) {
    const size_t dot = name.find('.');
    if (dot == std::string::npos) continue;
    const std::string component = name.substr(0, dot), field = name.substr(dot + 1);
    const std::string named = source + " " + Printable(name);
    if ((field == "use_rslora" || field == "use_dora") && value == true) {
      throw Error(ErrorCode::kUnsupported, named + " is true; only plain LoRA is added");
    }
    if (field == "lora_alpha") out.components[component].alpha = ParseAlpha(value, named);
    if (field != "alpha_pattern" || !value.is_object()) continue;
    for (const auto& [layer, alpha] : value.items()) {
      out.components[component].pattern[layer] = ParseAlpha(alpha, named);
    }
  }
  return out;
}

}  // namespace fovea
