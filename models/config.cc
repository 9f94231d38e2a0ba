#include "models/config.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "models/files/json_text.h"
#include "models/files/text_file.h"
#include "tensor/error.h"

namespace fovea {
namespace {

using nlohmann::json;

constexpr JsonLimits kLimits = {.bytes = size_t{16} << 20, .depth = 32};

std::string Range(const std::string& kind, int64_t low, int64_t high) {
  if (high == INT64_MAX) return kind + " of at least " + std::to_string(low);
  return kind + " from " + std::to_string(low) + " to " + std::to_string(high);
}

// Whole numbers, also when written as 4.0.
std::optional<int64_t> AsInt(const json& value, int64_t low, int64_t high) {
  int64_t number = 0;
  if (value.is_number_unsigned()) {
    const auto wide = value.get<uint64_t>();
    if (wide > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
    number = static_cast<int64_t>(wide);
  } else if (value.is_number_integer()) {
    number = value.get<int64_t>();
  } else if (value.is_number_float()) {
    const double real = value.get<double>();
    if (!(std::abs(real) < 9007199254740992.0) || real != std::floor(real)) return std::nullopt;
    number = static_cast<int64_t>(real);
  } else {
    return std::nullopt;
  }
  if (number < low || number > high) return std::nullopt;
  return number;
}

std::optional<double> AsNumber(const json& value) {
  if (!value.is_number()) return std::nullopt;
  const double number = value.get<double>();
  if (!std::isfinite(number)) return std::nullopt;
  return number;
}

std::string ListOf(const std::string& items, int count) {
  return "a list of " + (count < 0 ? "" : std::to_string(count) + " ") + items;
}

}  // namespace

Config::Config() = default;
Config::Config(Config&&) noexcept = default;
Config& Config::operator=(Config&&) noexcept = default;
Config::~Config() = default;

Config Config::ReadFile(const std::filesystem::path& path) {
  return Parse(ReadTextFile(path, kLimits.bytes), path.string());
}

Config Config::Parse(std::string_view text, const std::string& where) {
  Config config;
  config.where_ = where;
  config.json_ = std::make_unique<json>(ParseJson(text, where, kLimits));
  if (!config.json_->is_object()) {
    throw Error(ErrorCode::kBadFile,
                where + ": must hold a JSON object, but holds " + Brief(*config.json_));
  }
  return config;
}

const json* Config::Find(std::string_view field) const {
  read_.emplace(field);
  const auto found = json_->find(field);
  return found == json_->end() || found->is_null() ? nullptr : &*found;
}

const json& Config::Need(std::string_view field, const std::string& expected) const {
  const json* value = Find(field);
  if (value == nullptr) Bad(field, expected);
  return *value;
}

std::string Config::Named(std::string_view field) const {
  return where_ + ": " + prefix_ + std::string(field);
}

void Config::Bad(std::string_view field, const std::string& expected) const {
  const json* value = Find(field);
  throw Error(ErrorCode::kBadFile, Named(field) + " must be " + expected + ", but is " +
                                       (value ? Brief(*value) : "missing"));
}

void Config::Refuse(std::string_view field, const std::string& only) const {
  throw Error(ErrorCode::kUnsupported,
              Named(field) + " is " + Brief(*Find(field)) + "; only " + only + " is supported");
}

bool Config::Has(std::string_view field) const {
  const auto found = json_->find(field);
  return found != json_->end() && !found->is_null();
}

std::string Config::ClassName() const {
  if (Has("_class_name")) return String("_class_name", "");
  if (!Has("architectures")) {
    if (Has("architecture")) return "VisionTransformer";
    throw Error(ErrorCode::kBadFile,
                where_ + ": names no class: _class_name and architectures are missing");
  }
  const std::vector<std::string> names = Strings("architectures");
  if (names.empty()) Bad("architectures", "a list that names a class");
  return names[0];
}

int64_t Config::Int(std::string_view field, int64_t low, int64_t high) const {
  const std::string expected = Range("an integer", low, high);
  const auto number = AsInt(Need(field, expected), low, high);
  if (!number) Bad(field, expected);
  return *number;
}

int64_t Config::Int(std::string_view field, int64_t low, int64_t high, int64_t otherwise) const {
  return Find(field) == nullptr ? otherwise : Int(field, low, high);
}

double Config::Number(std::string_view field, double otherwise) const {
  const json* value = Find(field);
  if (value == nullptr) return otherwise;
  const auto number = AsNumber(*value);
  if (!number) Bad(field, "a finite number");
  return *number;
}

bool Config::Bool(std::string_view field, bool otherwise) const {
  const json* value = Find(field);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) Bad(field, "true or false");
  return value->get<bool>();
}

std::string Config::String(std::string_view field, const std::string& otherwise) const {
  return OptionalString(field).value_or(otherwise);
}

std::optional<std::string> Config::OptionalString(std::string_view field) const {
  const json* value = Find(field);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) Bad(field, "a string");
  return value->get<std::string>();
}

std::vector<int64_t> Config::Ints(std::string_view field, int count, int64_t low,
                                  int64_t high) const {
  const std::string one = Range("an integer", low, high);
  const std::string expected = one + " or " + ListOf("such", count);
  const json& value = Need(field, expected);
  if (!value.is_array()) {
    const auto number = AsInt(value, low, high);
    if (!number) Bad(field, expected);
    return std::vector<int64_t>(static_cast<size_t>(std::max(count, 1)) * (count != 0), *number);
  }
  if (count >= 0 && value.size() != static_cast<size_t>(count)) Bad(field, expected);
  std::vector<int64_t> out;
  for (const json& item : value) {
    const auto number = AsInt(item, low, high);
    if (!number) Bad(field, expected);
    out.push_back(*number);
  }
  return out;
}

std::vector<std::string> Config::Strings(std::string_view field) const {
  const std::string expected = "a list of strings";
  const json& value = Need(field, expected);
  if (!value.is_array()) Bad(field, expected);
  std::vector<std::string> out;
  for (const json& item : value) {
    if (!item.is_string()) Bad(field, expected);
    out.push_back(item.get<std::string>());
  }
  return out;
}

std::vector<bool> Config::Bools(std::string_view field, int count, bool otherwise) const {
  const json* value = Find(field);
  const auto size = static_cast<size_t>(std::max(count, 0));
  if (value == nullptr) return std::vector<bool>(size, otherwise);
  if (value->is_boolean()) return std::vector<bool>(size, value->get<bool>());
  const std::string expected = "true, false or " + ListOf("such", count);
  if (!value->is_array() || (count >= 0 && value->size() != size)) Bad(field, expected);
  std::vector<bool> out;
  for (const json& item : *value) {
    if (!item.is_boolean()) Bad(field, expected);
    out.push_back(item.get<bool>());
  }
  return out;
}

std::vector<double> Config::Numbers(std::string_view field) const {
  const std::string expected = "a list of finite numbers";
  const json& value = Need(field, expected);
  if (!value.is_array()) Bad(field, expected);
  std::vector<double> out;
  for (const json& item : value) {
    const auto number = AsNumber(item);
    if (!number) Bad(field, expected);
    out.push_back(*number);
  }
  return out;
}

Config Config::Object(std::string_view field) const {
  const json& value = Need(field, "an object");
  if (!value.is_object()) Bad(field, "an object");
  Config config;
  config.where_ = where_;
  config.prefix_ = prefix_ + std::string(field) + ".";
  config.json_ = std::make_unique<json>(value);
  return config;
}

void Config::Only(std::string_view field, bool only) const {
  if (Bool(field, only) != only) Refuse(field, only ? "true" : "false");
}

void Config::Only(std::string_view field, std::string_view only) const {
  if (String(field, std::string(only)) != only) Refuse(field, '"' + std::string(only) + '"');
}

void Config::Only(std::string_view field, double only) const {
  if (Number(field, only) != only) Refuse(field, json(only).dump());
}

void Config::OnlyNull(std::string_view field) const {
  if (Find(field) != nullptr) Refuse(field, "null");
}

void Config::Ignore(std::initializer_list<std::string_view> fields) const {
  for (const std::string_view field : fields) read_.emplace(field);
}

void Config::CheckAllRead() const {
  std::string names;
  size_t count = 0;
  constexpr size_t kShown = 5;
  for (const auto& [field, value] : json_->items()) {
    if (field.starts_with('_') || value.is_null() || read_.contains(field)) continue;
    if (count++ >= kShown) continue;
    names += (names.empty() ? "" : ", ") + prefix_ + Printable(field, 60);
  }
  if (count == 0) return;
  if (count > kShown) names += " and " + std::to_string(count - kShown) + " more";
  throw Error(ErrorCode::kUnsupported, where_ + ": unknown " + (count == 1 ? "field " : "fields ") +
                                           names + ", which may change the result");
}

}  // namespace fovea
