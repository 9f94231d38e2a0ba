#include "app/studio/settings_json.h"

#include <algorithm>
#include <type_traits>

#include <nlohmann/json.hpp>

#include "pipelines/metadata/metadata.h"

namespace fovea {
namespace {

using Json = nlohmann::json;

std::string Dump(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json ParseOrNull(const std::string& text) {
  return Json::parse(text, nullptr, false);
}

template <class T>
bool Fits(const Json& json) {
  if constexpr (std::is_same_v<T, std::string>) return json.is_string();
  if constexpr (std::is_same_v<T, std::optional<std::string>>) return json.is_string();
  if constexpr (std::is_same_v<T, bool>) return json.is_boolean();
  if constexpr (std::is_same_v<T, int>) return json.is_number_integer();
  if constexpr (std::is_same_v<T, double>) return json.is_number();
  return json.is_number_unsigned();
}

GenerateSettings FromJson(const Json& json) {
  GenerateSettings settings;
  if (!json.is_object()) return settings;
  settings.ForEachField([&](const char* name, auto& value, const char*) {
    using T = std::decay_t<decltype(value)>;
    const auto found = json.find(name);
    if (found == json.end() || !Fits<T>(*found)) return;
    if constexpr (std::is_same_v<T, std::optional<uint64_t>>) {
      value = found->template get<uint64_t>();
    } else if constexpr (std::is_same_v<T, std::optional<std::string>>) {
      value = found->template get<std::string>();
    } else {
      value = found->template get<T>();
    }
  });
  return settings;
}

std::string Text(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

double Number(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? found->get<double>() : 1;
}

}  // namespace

std::string SettingsText(const GenerateSettings& settings) {
  return Dump(SettingsToJson(settings));
}

GenerateSettings SettingsFromText(const std::string& text) {
  return FromJson(ParseOrNull(text));
}

std::string HistoryText(const std::vector<GenerateSettings>& history, int cursor) {
  nlohmann::ordered_json json;
  json["cursor"] = cursor;
  json["history"] = nlohmann::ordered_json::array();
  for (const GenerateSettings& each : history) json["history"].push_back(SettingsToJson(each));
  return Dump(json);
}

StartView HistoryFromText(const std::string& text) {
  StartView start;
  const Json json = ParseOrNull(text);
  if (!json.is_object() || !json.contains("history") || !json["history"].is_array()) return start;
  for (const Json& each : json["history"]) start.history.push_back(FromJson(each));
  if (json.contains("cursor") && json["cursor"].is_number_integer()) {
    start.cursor = json["cursor"].get<int>();
  }
  start.cursor =
      std::clamp(start.cursor, 0, std::max(0, static_cast<int>(start.history.size()) - 1));
  return start;
}

std::string UsesText(const std::vector<SiteUse>& uses) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const SiteUse& use : uses) {
    json.push_back({{"path", use.path},
                    {"op", use.op},
                    {"heads", use.heads},
                    {"steps", use.steps},
                    {"refusal", use.refusal},
                    {"density", use.density},
                    {"visited", use.visited}});
  }
  return Dump(json);
}

std::vector<SiteUse> UsesFromText(const std::string& text) {
  std::vector<SiteUse> uses;
  const Json json = ParseOrNull(text);
  if (!json.is_array()) return uses;
  for (const Json& each : json) {
    if (!each.is_object()) continue;
    uses.push_back({Text(each, "path"), Text(each, "op"), Text(each, "heads"), Text(each, "steps"),
                    Text(each, "refusal"), Number(each, "density"), Number(each, "visited")});
  }
  return uses;
}

}  // namespace fovea
