#include "pipelines/metadata/metadata.h"

#include <filesystem>
#include <type_traits>

#include <nlohmann/json.hpp>

#include "models/config.h"
#include "models/files/json_text.h"
#include "models/lora/lora_choice.h"
#include "pipelines/metadata/a1111_settings.h"
#include "tensor/error.h"

namespace fovea {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr int kFormat = 1;  // of the JSON; raised when its meaning changes

[[noreturn]] void Bad(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::kBadFile, where + ": " + what);
}

// Reads one field; absent fields keep their value, so that older pictures stay readable.
class FieldReader {
 public:
  FieldReader(const Json& object, std::string where) : object_(object), where_(std::move(where)) {}

  template <class T>
  void operator()(const char* name, T& value, const char* = nullptr) const {
    const auto found = object_.find(name);
    if (found != object_.end() && !found->is_null()) Read(name, *found, value);
  }

 private:
  void Read(const char* name, const Json& json, std::string& value) const {
    if (!json.is_string()) Wrong(name, "a text");
    value = json.get<std::string>();
  }
  void Read(const char* name, const Json& json, std::optional<std::string>& value) const {
    Read(name, json, value.emplace());
  }
  void Read(const char* name, const Json& json, bool& value) const {
    if (!json.is_boolean()) Wrong(name, "true or false");
    value = json.get<bool>();
  }
  void Read(const char* name, const Json& json, int& value) const {
    if (!json.is_number_integer() || json < -(1 << 30) || json > (1 << 30)) {
      Wrong(name, "a whole number");
    }
    value = json.get<int>();
  }
  void Read(const char* name, const Json& json, double& value) const {
    if (!json.is_number()) Wrong(name, "a number");
    value = json.get<double>();
  }
  void Read(const char* name, const Json& json, std::optional<uint64_t>& value) const {
    if (!json.is_number_unsigned()) Wrong(name, "a whole number from 0 on");
    value = json.get<uint64_t>();
  }
  [[noreturn]] void Wrong(const char* name, const char* expected) const {
    Bad(where_, std::string("settings of the picture: ") + name + " is not " + expected);
  }

  const Json& object_;
  std::string where_;
};

const Json& Member(const Json& object, const char* name, const std::string& where) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_object()) {
    Bad(where, std::string("settings of the picture: no object ") + name);
  }
  return *found;
}

PictureSettings ReadForeignSettings(const PngText& text, const std::string& where) {
  if (const auto found = text.find("parameters"); found != text.end()) {
    return ReadA1111Parameters(found->second, where);
  }
  const std::string ours = "; Fovea reads its own pictures and those with A1111's \"parameters\"";
  if (text.contains("prompt") || text.contains("workflow")) {
    throw Error(ErrorCode::kUnsupported,
                where + ": holds a workflow of ComfyUI, which is not read" + ours);
  }
  std::string keys;
  for (const auto& [key, value] : text) keys += (keys.empty() ? "" : ", ") + Printable(key, 80);
  Bad(where, (keys.empty() ? "has no text chunks, so no settings"
                           : "its text chunks (" + Printable(keys) + ") are no settings") +
                 ours);
}

}  // namespace

OrderedJson SettingsToJson(const GenerateSettings& settings) {
  OrderedJson json = OrderedJson::object();
  GenerateSettings copy = settings;  // ForEachField visits mutable fields
  copy.ForEachField([&](const char* name, auto& value, const char*) {
    using T = std::decay_t<decltype(value)>;
    // Absent means off.
    const std::string_view key = name;
    if (key.starts_with("perturb") && settings.perturb.empty()) return;
    if (key == "guidance" && settings.guidance == "cfg") return;
    if constexpr (std::is_same_v<T, std::optional<uint64_t>> ||
                  std::is_same_v<T, std::optional<std::string>>) {
      if (value)
        json[name] = *value;
      else
        json[name] = nullptr;
    } else {
      json[name] = value;
    }
  });
  return json;
}

PngText PictureText(const GenerateSettings& settings, const Provenance& provenance, int index) {
  GenerateSettings own = settings;
  own.seed = settings.seed.value_or(0) + static_cast<uint64_t>(index);
  own.batch = 1;
  const std::filesystem::path model(settings.model);
  own.model = (model.has_filename() ? model : model.parent_path()).filename().string();
  std::vector<NamedLora> loras = ParseLoraText(settings.lora);
  for (NamedLora& lora : loras) lora.name = std::filesystem::path(lora.name).stem().string();
  own.lora = LoraText(loras);
  own.overlay = std::filesystem::path(settings.overlay).stem().string();

  OrderedJson json;
  json["format"] = kFormat;
  json["version"] = provenance.version;
  json["settings"] = SettingsToJson(own);
  json["sampler"] = provenance.sampler;
  json["device"] = {{"kind", provenance.device},
                    {"instruction_set", provenance.instruction_set},
                    {"threads", provenance.threads}};
  if (!provenance.numbers.weights.empty()) json["numbers"] = ToJson(provenance.numbers);
  if (!provenance.attention.empty()) json["attention"] = ToJson(provenance.attention);
  if (!provenance.hires.Empty()) json["hires"] = ToJson(provenance.hires);
  if (!provenance.hashes.model.empty()) json["sha256"]["model"] = provenance.hashes.model;
  if (!provenance.hashes.overlay.empty()) json["sha256"]["overlay"] = provenance.hashes.overlay;
  for (const auto& [name, hash] : provenance.hashes.loras) json["sha256"]["loras"][name] = hash;
  json["init_latents"] = provenance.init_latents;
  // A path may hold bytes that are no UTF-8; prompts were checked when they were read.
  return {{"parameters", A1111Parameters(own, provenance)},
          {"fovea", json.dump(-1, ' ', false, Json::error_handler_t::replace)}};
}

PictureSettings ReadPictureSettings(const PngText& text, const std::string& where) {
  const auto chunk = text.find("fovea");
  if (chunk == text.end()) return ReadForeignSettings(text, where);
  const Config parsed = Config::Parse(chunk->second, where + ": text chunk \"fovea\"");
  const Json& json = parsed.Json();
  if (!json.is_object()) Bad(where, "text chunk \"fovea\" is not a JSON object");
  int format = 0;
  FieldReader(json, where)("format", format);
  if (format != kFormat) {
    Bad(where, "settings of format " + std::to_string(format) + "; this version reads format " +
                   std::to_string(kFormat));
  }
  PictureSettings result;
  result.settings.prompt_weights = "off";  // as it was before pictures said so
  result.settings.ForEachField(FieldReader(Member(json, "settings", where), where));
  // We write names; a path is an attempt to have some other file opened.
  for (const auto& [setting, name] :
       {std::pair{"model", result.settings.model}, {"overlay", result.settings.overlay}}) {
    if (!LeadsElsewhere(name)) continue;
    result.problems.push_back({setting, ErrorCode::kBadFile,
                               where + ": names its " + setting + " by a path, " +
                                   Printable(name, 80) + "; give it with --" + setting});
  }
  for (const NamedLora& lora : ParseLoraText(result.settings.lora)) {
    if (!LeadsElsewhere(lora.name)) continue;
    Bad(where, "names a LoRA by a path, " + Printable(lora.name, 80) + "; pictures hold names");
  }
  const FieldReader top(json, where);
  top("version", result.provenance.version);
  top("sampler", result.provenance.sampler);
  top("init_latents", result.provenance.init_latents);
  if (const auto ran = json.find("attention"); ran != json.end()) {
    result.provenance.attention = GroupsFromJson(*ran, where);
  }
  if (const auto ran = json.find("hires"); ran != json.end()) {
    result.provenance.hires = HiresFromJson(*ran, where);
  }
  const FieldReader device(Member(json, "device", where), where);
  device("kind", result.provenance.device);
  device("instruction_set", result.provenance.instruction_set);
  device("threads", result.provenance.threads);
  if (json.contains("numbers")) {
    result.provenance.numbers = NumbersFromJson(Member(json, "numbers", where), where);
  }
  return result;
}

}  // namespace fovea
