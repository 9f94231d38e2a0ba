#include "models/model_folder.h"

#include <nlohmann/json.hpp>

#include "models/clip/clip_pair.h"
#include "models/files/json_text.h"
#include "tensor/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

[[noreturn]] void Bad(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::kBadFile, where + ": " + what);
}

bool IsFile(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

bool IsFolder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

bool IsPlainName(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

// One field of model_index.json: ["diffusers", "UNet2DConditionModel"], with or without a path.
// Nothing for a setting (a flag, a number) or a component that the pipeline does without.
std::optional<ComponentFolder> ParseComponent(const std::string& name, const json& value,
                                              const fs::path& folder, const std::string& where) {
  if (!value.is_array()) return std::nullopt;
  const std::string expected =
      Printable(name) +
      " must be [library, class], [null, null] or [library, class, path], but is ";
  if (value.size() != 2 && value.size() != 3) Bad(where, expected + Brief(value));
  if (value[0].is_null() && value[1].is_null()) return std::nullopt;
  for (const json& item : value) {
    if (!item.is_string()) Bad(where, expected + Brief(value));
  }
  if (!IsPlainName(name)) Bad(where, "component " + Printable(name) + " is not a folder's name");
  ComponentFolder out{
      .name = name, .class_name = value[1].get<std::string>(), .folder = folder / name};
  if (value.size() == 3) {
    const auto& text = value[2].get_ref<const std::string&>();
    if (text.empty() || text.find('\0') != std::string::npos || fs::path(text).is_absolute()) {
      Bad(where, Printable(name) + " must name a relative path, but names " + Brief(value[2]));
    }
    out.folder = (folder / text).lexically_normal();
  }
  return out;
}

ModelFolder OpenPipeline(const fs::path& folder) {
  const fs::path index_path = folder / "model_index.json";
  const Config index = Config::ReadFile(index_path);
  ModelFolder out;
  out.pipeline_class = index.ClassName();
  for (const auto& [name, value] : index.Json().items()) {
    if (name.starts_with('_')) continue;
    if (value.is_boolean()) out.flags[name] = value.get<bool>();
    if (auto component = ParseComponent(name, value, folder, index_path.string())) {
      out.components.push_back(std::move(*component));
    }
  }
  if (out.components.empty()) Bad(index_path.string(), "names no components");
  return out;
}

}  // namespace

const ComponentFolder* ModelFolder::Find(std::string_view component) const {
  for (const ComponentFolder& candidate : components) {
    if (candidate.name == component) return &candidate;
  }
  return nullptr;
}

const ComponentFolder& ModelFolder::Get(std::string_view component) const {
  const ComponentFolder* found = Find(component);
  if (found == nullptr) {
    std::string names;
    for (const ComponentFolder& candidate : components) {
      if (!candidate.name.empty()) names += (names.empty() ? "" : ", ") + candidate.name;
    }
    Bad(folder.string(),
        "has no component " + Printable(component) +
            (names.empty() ? "; it is a component folder alone" : "; it has " + names));
  }
  if (!IsFolder(found->folder)) {
    if (!found->missing.empty()) Bad(folder.string(), found->missing);
    Bad(folder.string(),
        "component " + found->name + " is missing: there is no folder " + found->folder.string());
  }
  return *found;
}

bool ModelFolder::Flag(const std::string& flag, bool otherwise) const {
  const auto found = flags.find(flag);
  return found == flags.end() ? otherwise : found->second;
}

ModelFolder OpenModelFolder(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder, error)) Bad(folder.string(), "does not exist");
  if (!IsFolder(folder)) {
    Bad(folder.string(), "is a file; a model is a folder with model_index.json or config.json");
  }
  ModelFolder out;
  if (IsFile(folder / "model_index.json")) {
    out = OpenPipeline(folder);
  } else if (IsFile(folder / "config.json")) {
    const Config config = Config::ReadFile(folder / "config.json");
    if (IsClipPair(config)) {
      out.components = ClipPairComponents(folder);
    } else {
      out.components.push_back({.name = "", .class_name = config.ClassName(), .folder = folder});
    }
  } else {
    Bad(folder.string(), "is not a model: it has neither model_index.json nor config.json");
  }
  out.folder = folder;
  // "models/x/." and "models/x/" are called x, too.
  const fs::path whole = fs::absolute(folder, error).lexically_normal();
  out.name =
      whole.has_filename() ? whole.filename().string() : whole.parent_path().filename().string();
  return out;
}

}  // namespace fovea
