// A component's config.json, read strictly.
//
// A field is read by name and type with bounds; a wrong type or value is an error that names the
// file and the field. CheckAllRead refuses fields that nothing understands, unless the model listed
// them as known to have no effect on the result.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace fovea {

class Config {
 public:
  static Config ReadFile(
      const std::filesystem::path& path);  // throws kBadFile; nesting and size bounded
  // Pure; fuzzed. `where` names the source in messages.
  static Config Parse(std::string_view text, const std::string& where);
  Config(Config&&) noexcept;
  Config& operator=(Config&&) noexcept;
  ~Config();

  const std::string& Where() const { return where_; }
  bool Has(std::string_view field) const;  // present and not null
  // _class_name, else architectures[0]; "VisionTransformer" for timm's files, which have an
  // `architecture` instead. Throws if there is none of them.
  std::string ClassName() const;

  // Without a default the field must exist. Null counts as absent.
  int64_t Int(std::string_view field, int64_t low, int64_t high) const;
  int64_t Int(std::string_view field, int64_t low, int64_t high, int64_t otherwise) const;
  double Number(std::string_view field, double otherwise) const;  // finite
  bool Bool(std::string_view field, bool otherwise) const;
  std::string String(std::string_view field, const std::string& otherwise) const;
  std::optional<std::string> OptionalString(std::string_view field) const;
  // A list of ints, or one int repeated `count` times; `count` < 0 takes the list's own length. As
  // Strings and Numbers, the field must exist.
  std::vector<int64_t> Ints(std::string_view field, int count, int64_t low, int64_t high) const;
  std::vector<std::string> Strings(std::string_view field) const;
  std::vector<bool> Bools(std::string_view field, int count, bool otherwise) const;
  std::vector<double> Numbers(std::string_view field) const;
  Config Object(std::string_view field) const;  // a nested object, which must exist
  // The value must be absent, null, or equal to `only`; anything else is kUnsupported, named.
  void Only(std::string_view field, bool only) const;
  void Only(std::string_view field, std::string_view only) const;
  void Only(std::string_view field, const char* only) const { Only(field, std::string_view(only)); }
  void Only(std::string_view field, double only) const;
  void Only(std::string_view field, int only) const { Only(field, static_cast<double>(only)); }
  void OnlyNull(std::string_view field) const;
  void Ignore(std::initializer_list<std::string_view> fields) const;  // known to have no effect
  // kUnsupported, naming the fields that nothing has read. Null counts as absent; fields that start
  // with "_" are always allowed. Nested objects are checked apart.
  void CheckAllRead() const;

  const nlohmann::json& Json() const { return *json_; }

 private:
  Config();
  const nlohmann::json* Find(std::string_view field) const;  // marks as read; null -> nullptr
  const nlohmann::json& Need(std::string_view field, const std::string& expected) const;
  std::string Named(std::string_view field) const;  // "unet/config.json: layers_per_block"
  [[noreturn]] void Bad(std::string_view field, const std::string& expected) const;
  [[noreturn]] void Refuse(std::string_view field, const std::string& only) const;
  std::string where_;
  std::string prefix_;  // of a nested object: "text_config."
  std::unique_ptr<nlohmann::json> json_;
  mutable std::set<std::string, std::less<>> read_;
};

}  // namespace fovea
