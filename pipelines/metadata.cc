#include "pipelines/metadata.h"

#include <cstdio>
#include <filesystem>
#include <type_traits>

#include <nlohmann/json.hpp>

#include "models/config.h"
#include "models/lora/lora_choice.h"
#include "tensor/error.h"

namespace fovea {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr int kFormat = 1;  // of the JSON; raised when its meaning changes

// The names that A1111 shows for our samplers.
std::string_view A1111Sampler(std::string_view sampler) {
  if (sampler == "ddim") return "DDIM";
  if (sampler == "pndm") return "PLMS";
  if (sampler == "euler") return "Euler";
  if (sampler == "euler_a") return "Euler a";
  if (sampler == "dpmpp_2m") return "DPM++ 2M";
  if (sampler == "dpmpp_2m_sde") return "DPM++ 2M SDE";
  if (sampler == "heun") return "Heun";
  if (sampler == "unipc") return "UniPC";
  if (sampler == "lcm") return "LCM";
  return sampler;
}

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

// A1111 quotes a value that holds a separator.
std::string Quoted(const std::string& value) {
  return value.find_first_of(",:\n\"") == std::string::npos ? value : Json(value).dump();
}

std::string ParametersText(const GenerateSettings& s, const Provenance& provenance) {
  std::string text = s.prompt;
  for (const NamedLora& lora : ParseLoraText(s.lora)) {
    text += " <lora:" + lora.name + ":" + Number(lora.scale) + ">";
  }
  text += "\n";
  text += "Negative prompt: " + s.negative + "\n";  // ComfyUI's importer needs it, even empty
  text += "Steps: " + std::to_string(s.steps);
  text +=
      ", Sampler: " + std::string(A1111Sampler(s.sampler.empty() ? provenance.sampler : s.sampler));
  const bool sgm = s.schedule == "sgm_uniform";
  if (sgm || !provenance.schedule.empty()) {
    text += ", Schedule type: " + (sgm ? "SGM Uniform" : provenance.schedule);
  }
  text += ", CFG scale: " + Number(s.cfg);
  text += ", Seed: " + std::to_string(s.seed.value_or(0));
  text += ", Size: " + std::to_string(s.width) + "x" + std::to_string(s.height);
  text += ", Model: " + Quoted(s.model);
  if (s.eta != 0) text += ", Eta DDIM: " + Number(s.eta);
  // A1111 counts from 1: its 1 is the last layer.
  if (s.clip_skip > 0) text += ", Clip skip: " + std::to_string(s.clip_skip + 1);
  if (!s.attention.empty()) text += ", Attention: " + Quoted(s.attention);
  if (!provenance.hires.Empty()) text += ", HiDiffusion: " + Quoted(s.hires);
  text += ", RNG: " + std::string(s.rng == "torch" ? "CPU" : "NV");
  text += ", Version: fovea " + provenance.version;
  return text;
}

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

}  // namespace

OrderedJson SettingsToJson(const GenerateSettings& settings) {
  OrderedJson json = OrderedJson::object();
  GenerateSettings copy = settings;  // ForEachField visits mutable fields
  copy.ForEachField([&](const char* name, auto& value, const char*) {
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::optional<uint64_t>>) {
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

  OrderedJson json;
  json["format"] = kFormat;
  json["version"] = provenance.version;
  json["settings"] = SettingsToJson(own);
  json["sampler"] = provenance.sampler;
  json["device"] = {{"kind", provenance.device},
                    {"instruction_set", provenance.instruction_set},
                    {"threads", provenance.threads}};
  if (!provenance.attention.empty()) json["attention"] = ToJson(provenance.attention);
  if (!provenance.hires.Empty()) json["hires"] = ToJson(provenance.hires);
  json["init_latents"] = provenance.init_latents;
  // A path may hold bytes that are no UTF-8; prompts were checked when they were read.
  return {{"parameters", ParametersText(own, provenance)},
          {"fovea", json.dump(-1, ' ', false, Json::error_handler_t::replace)}};
}

PictureSettings ReadPictureSettings(const PngText& text, const std::string& where) {
  const auto chunk = text.find("fovea");
  if (chunk == text.end()) {
    Bad(where,
        "no settings of Fovea in this picture (text chunk \"fovea\"); name a picture that "
        "fovea generate wrote");
  }
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
  return result;
}

}  // namespace fovea
