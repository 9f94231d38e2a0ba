#include "app/jobs/job_identity.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <fstream>

#include <nlohmann/json.hpp>

#include "models/files/sha256.h"
#include "tensor/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

void AddText(const std::string& text, std::string* out) {
  *out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      *out += '\\';
      *out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
      *out += escaped;
    } else {
      *out += c;
    }
  }
  *out += '"';
}

void AddNumber(double value, std::string* out) {
  ENSURE(std::isfinite(value), "a number of a job");
  char text[40];
  if (value == 0) {
    *out += '0';
  } else if (value == std::floor(value) && std::abs(value) < 1e15) {
    std::snprintf(text, sizeof text, "%.0f", value);
    *out += text;
  } else {
    out->append(text, std::to_chars(text, text + sizeof text, value).ptr);
  }
}

void Add(const Json& value, std::string* out) {
  if (value.is_object()) {
    *out += '{';
    bool first = true;
    for (const auto& [key, member] : value.items()) {  // std::map: in byte order
      if (!first) *out += ',';
      first = false;
      AddText(key, out);
      *out += ':';
      Add(member, out);
    }
    *out += '}';
  } else if (value.is_array()) {
    *out += '[';
    for (size_t i = 0; i < value.size(); ++i) {
      if (i > 0) *out += ',';
      Add(value[i], out);
    }
    *out += ']';
  } else if (value.is_string()) {
    AddText(value.get_ref<const std::string&>(), out);
  } else if (value.is_number_float()) {
    AddNumber(value.get<double>(), out);
  } else {
    *out += value.dump();
  }
}

std::string JobText(const Json& settings, const Json& model, const Json& inputs) {
  return CanonicalJson({{"settings", settings}, {"model", model}, {"inputs", inputs}});
}

// The header of a safetensors file and its length; 0: it is none.
uint64_t HeaderEnd(std::ifstream& file, uint64_t size) {
  unsigned char bytes[8] = {};
  file.read(reinterpret_cast<char*>(bytes), sizeof bytes);
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | bytes[i];
  return file && length >= 2 && length <= size - 8 && length < (uint64_t{1} << 30) ? 8 + length : 0;
}

bool IsRead(const fs::path& file) {
  const std::string suffix = file.extension().string();
  return !file.filename().string().starts_with('.') &&
         (suffix == ".json" || suffix == ".txt" || suffix == ".model" || suffix == ".safetensors");
}

}  // namespace

std::string CanonicalJson(const Json& value) {
  std::string text;
  Add(value, &text);
  return text;
}

std::string Sha256OfText(const std::string& text) {
  Sha256 hash;
  hash.Add(std::as_bytes(std::span(text.data(), text.size())));
  return hash.Hex();
}

Json FileDigests::OfFile(const fs::path& path) {
  const auto known = known_.find(path);
  if (known != known_.end()) {
    return {{"size", known->second.first}, {"sha256", known->second.second}};
  }
  std::error_code error;
  const uint64_t size = fs::is_regular_file(path, error) ? fs::file_size(path, error) : 0;
  std::ifstream file(path, std::ios::binary);
  if (error || !file) throw Error(ErrorCode::kBadFile, path.string() + ": cannot be read");
  const uint64_t header =
      path.extension() == ".safetensors" && size > 8 ? HeaderEnd(file, size) : 0;
  std::string digest;
  if (header > 0) {
    std::string bytes(header, '\0');
    file.clear();
    file.seekg(0);
    file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    digest = Sha256OfText(bytes);
  } else {
    digest = *Sha256OfFile(path);
  }
  known_[path] = {size, digest};
  return {{"size", size}, {"sha256", digest}};
}

Json FileDigests::OfModel(const ModelFolder& model) {
  Json files = Json::object();
  const auto add_folder = [&](const std::string& name, const fs::path& folder) {
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
      std::error_code ignored;
      if (!entry.is_regular_file(ignored) || !IsRead(entry.path())) continue;
      files[name + "/" + entry.path().filename().string()] = OfFile(entry.path());
    }
  };
  std::error_code error;
  if (fs::is_directory(model.folder, error)) add_folder("", model.folder);
  for (const ComponentFolder& component : model.components) {
    if (!component.folder.empty()) add_folder(component.name, component.folder);
    if (!component.settings.empty()) add_folder(component.name + "/settings", component.settings);
    if (!component.single_file.empty()) {
      files["file"] = OfFile(component.single_file);
    }
  }
  Json list = Json::array();
  for (const auto& [path, digest] : files.items()) {
    list.push_back({{"path", path}, {"size", digest["size"]}, {"sha256", digest["sha256"]}});
  }
  return list;
}

Json FileDigests::OfInputs(const ModelFolder& model) {
  Json loras = Json::array(), overlay;
  std::vector<fs::path> seen;
  for (const ComponentFolder& component : model.components) {
    for (const LoraChoice& lora : component.loras) {
      if (std::find(seen.begin(), seen.end(), lora.file) != seen.end()) continue;
      seen.push_back(lora.file);
      loras.push_back(OfFile(lora.file));
    }
    if (!component.overlay.empty()) overlay = OfFile(component.overlay);
  }
  Json inputs = Json::object();
  if (!loras.empty()) inputs["lora"] = loras;
  if (!overlay.is_null()) inputs["overlay"] = overlay;
  return inputs;
}

Json JobSettingsJson(const GenerateSettings& asked, bool prompt_given, bool seed) {
  GenerateSettings settings = asked;
  Json json = Json::object();
  settings.ForEachField([&](const char* name, auto& value, const char*) {
    using T = std::decay_t<decltype(value)>;
    if constexpr (std::is_same_v<T, std::optional<uint64_t>> ||
                  std::is_same_v<T, std::optional<std::string>>) {
      json[name] = value ? Json(*value) : Json();
    } else {
      json[name] = value;
    }
  });
  for (const char* name : {"batch", "model", "overlay"}) json.erase(name);
  if (!seed) json.erase("seed");
  if (!prompt_given) json["prompt"] = nullptr;  // the model's own
  Json scales = Json::array();
  for (const NamedLora& lora : ParseLoraText(asked.lora)) {
    scales.push_back({lora.scales.scale, lora.scales.text_scale.value_or(lora.scales.scale)});
  }
  json["lora"] = scales;
  return json;
}

std::string JobId(const Json& settings, const Json& model, const Json& inputs) {
  return Sha256OfText("fovea-job-1\n" + JobText(settings, model, inputs)).substr(0, 16);
}

uint64_t DerivedSeed(const Json& settings, const Json& model, const Json& inputs, int64_t earlier) {
  const std::string digest = Sha256OfText("fovea-seed-1\n" + JobText(settings, model, inputs) +
                                          "\n" + std::to_string(earlier));
  return std::stoull(digest.substr(0, 8), nullptr, 16);
}

}  // namespace fovea
