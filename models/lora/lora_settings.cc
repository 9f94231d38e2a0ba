#include "models/lora/lora_settings.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "models/files/json_text.h"
#include "tensor/error.h"

namespace fovea {
namespace {

using nlohmann::json;

constexpr const char* kField = "lora_adapter_metadata";
constexpr JsonLimits kLimits = {.bytes = size_t{16} << 20, .depth = 16};

[[noreturn]] void Bad(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::kBadFile, where + " " + what);
}

[[noreturn]] void Unsupported(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::kUnsupported, where + " " + what);
}

double ParseAlpha(const json& value, const std::string& where) {
  if (!value.is_number() || !std::isfinite(value.get<double>())) {
    Bad(where, "must be a number, but is " + Brief(value));
  }
  return value.get<double>();
}

bool ParseSwitch(const json& value, const std::string& where) {
  if (value.is_null()) return false;
  if (!value.is_boolean()) Bad(where, "must be true or false, but is " + Brief(value));
  return value.get<bool>();
}

// Ways to begin a training that change the base weights, too.
bool ChangesBase(const json& value) {
  if (!value.is_string()) return false;
  const auto& name = value.get_ref<const std::string&>();
  return name.starts_with("pissa") || name.starts_with("corda") || name.starts_with("olora") ||
         name.starts_with("loftq");
}

void ReadField(const std::string& field, const json& value, const std::string& where,
               LoraSettings::Component& out) {
  if (field == "lora_alpha") {
    out.alpha = ParseAlpha(value, where);
  } else if (field == "use_rslora") {
    out.rank_stabilised = ParseSwitch(value, where);
  } else if (field == "use_dora") {
    out.magnitudes = ParseSwitch(value, where);
  } else if (field == "fan_in_fan_out") {
    if (ParseSwitch(value, where)) Unsupported(where, "is true; transposed layers are not read");
  } else if (field == "peft_type") {
    if (value != "LORA") Unsupported(where, "is " + Brief(value) + "; only \"LORA\" is read");
  } else if (field == "init_lora_weights" && ChangesBase(value)) {
    Unsupported(where, "is " + Brief(value) +
                           ", which changed the base weights, too; save it converted to LoRA");
  } else if (field == "alpha_pattern" && !value.is_null()) {
    if (!value.is_object()) Bad(where, "must be an object, but is " + Brief(value));
    for (const auto& [pattern, alpha] : value.items()) {
      MatchesLayer(pattern, "", where);
      out.pattern.emplace_back(pattern, ParseAlpha(alpha, where));
    }
  }
}

// One element of a pattern.
struct Element {
  char kind = 'c';  // 'c' itself, '.' anything, 'd' a digit
  char c = 0;
  bool repeats = false, may_lack = false;

  bool Takes(char other) const {
    return kind == '.' || (kind == 'd' ? other >= '0' && other <= '9' : other == c);
  }
};

std::vector<Element> ParsePattern(std::string_view pattern, const std::string& where) {
  std::vector<Element> elements;
  const auto refuse = [&] {
    Unsupported(where, "has the pattern " + Printable(pattern, 80) +
                           "; of regular expressions only names, ., \\d, * and + are read");
  };
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '*' || c == '+') {
      if (elements.empty() || elements.back().repeats) refuse();
      elements.back().repeats = true;
      elements.back().may_lack = c == '*';
    } else if (c == '\\') {
      const char next = ++i < pattern.size() ? pattern[i] : '\0';
      if (next == 'd') {
        elements.push_back({'d'});
      } else if (next == '.') {
        elements.push_back({'c', '.'});
      } else {
        refuse();
      }
    } else if (std::string_view("^$?|()[]{}").find(c) != std::string_view::npos) {
      refuse();
    } else {
      elements.push_back(c == '.' ? Element{'.'} : Element{'c', c});
    }
  }
  return elements;
}

}  // namespace

bool MatchesLayer(std::string_view pattern, std::string_view layer, const std::string& where) {
  const std::vector<Element> elements = ParsePattern(pattern, where);
  // at[k]: the text so far may end before element k. A repeating element that has taken something
  // stays where it is and may be left.
  std::vector<char> at(elements.size() + 1), next(at.size()), inside(elements.size()), stays;
  const auto pass_lacking = [&](std::vector<char>& states) {
    for (size_t k = 0; k < elements.size(); ++k) {
      if (states[k] != 0 && elements[k].may_lack) states[k + 1] = 1;
    }
  };
  at[0] = 1;
  pass_lacking(at);
  for (size_t i = 0; i < layer.size(); ++i) {
    std::fill(next.begin(), next.end(), 0);
    stays.assign(elements.size(), 0);
    for (size_t k = 0; k < elements.size(); ++k) {
      if ((at[k] == 0 && inside[k] == 0) || !elements[k].Takes(layer[i])) continue;
      next[k + 1] = 1;
      if (elements[k].repeats) stays[k] = 1;
    }
    if (layer[i] == '.') next[0] = 1;  // whatever stands before a dot
    pass_lacking(next);
    std::swap(at, next);
    std::swap(inside, stays);
  }
  return at.back() != 0;
}

const LoraSettings::Component* LoraSettings::Find(const std::string& component) const {
  auto found = components.find(component);
  if (found == components.end() && component == "unet") found = components.find("transformer");
  if (found == components.end()) found = components.find("");
  return found == components.end() ? nullptr : &found->second;
}

std::optional<LoraScaling> LoraSettings::Of(const std::string& component, std::string_view layer,
                                            const std::string& where) const {
  const Component* found = Find(component);
  if (found == nullptr) return std::nullopt;
  std::optional<double> alpha;
  for (const auto& [pattern, value] : found->pattern) {
    if (!MatchesLayer(pattern, layer, where)) continue;
    if (alpha && *alpha != value) {
      Unsupported(where, "has two patterns with two alphas for layer " + Printable(layer));
    }
    alpha = value;
  }
  if (!alpha) alpha = found->alpha;
  if (!alpha) return std::nullopt;
  return LoraScaling{*alpha, found->rank_stabilised};
}

LoraSettings ReadLoraMetadata(const std::map<std::string, std::string>& metadata,
                              const std::string& where) {
  LoraSettings out;
  const auto text = metadata.find(kField);
  if (text == metadata.end()) return out;
  const std::string source = where + ": " + kField;
  const json fields = ParseJson(text->second, source, kLimits);
  if (!fields.is_object()) Bad(source, "must be an object, but is " + Brief(fields));
  for (const auto& [name, value] : fields.items()) {
    const size_t dot = name.find('.');
    const std::string component = dot == std::string::npos ? "" : name.substr(0, dot);
    const std::string field = dot == std::string::npos ? name : name.substr(dot + 1);
    ReadField(field, value, source + " " + Printable(name), out.components[component]);
  }
  return out;
}

LoraSettings ParseAdapterConfig(std::string_view text, const std::string& where) {
  const json fields = ParseJson(text, where, kLimits);
  if (!fields.is_object()) Bad(where + ":", "must be an object, but is " + Brief(fields));
  LoraSettings out;
  LoraSettings::Component& all = out.components[""];
  for (const auto& [name, value] : fields.items()) {
    ReadField(name, value, where + ": " + Printable(name), all);
  }
  if (!all.alpha) Bad(where + ":", "lora_alpha is missing");
  return out;
}

}  // namespace fovea
