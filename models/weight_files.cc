#include "models/weight_files.h"

#include <set>

#include <nlohmann/json.hpp>

#include "models/files/json_text.h"
#include "models/files/text_file.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr JsonLimits kIndexLimits = {.bytes = size_t{64} << 20, .depth = 16};

[[noreturn]] void Bad(const std::filesystem::path& where, const std::string& what) {
  throw Error(ErrorCode::kBadFile, where.string() + ": " + what);
}

// A name that stays inside the folder it is looked up in.
bool IsPlainFileName(const std::string& name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string("/\\\0", 3)) == std::string::npos;
}

WeightFiles FromIndex(const std::filesystem::path& index) {
  WeightFiles out{.where = index, .files = {}, .sharded = true, .weight_map = {}};
  out.weight_map = ParseShardIndex(ReadTextFile(index, kIndexLimits.bytes), index.string());
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : out.weight_map) shards.insert(shard);
  for (const std::string& shard : shards) {
    const auto file = index.parent_path() / shard;
    if (!std::filesystem::exists(file)) {
      Bad(index, "shard " + Printable(shard) + " is missing from the folder");
    }
    out.files.push_back(file);
  }
  return out;
}

// What else may lie there, so that the message can say what to do.
std::string Advice(const std::filesystem::path& folder) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const auto extension = entry.path().extension();
    if (extension == ".bin" || extension == ".ckpt" || extension == ".pt" || extension == ".pth") {
      return "; convert " + entry.path().filename().string() + " to safetensors";
    }
  }
  return "";
}

}  // namespace

WeightFiles FindWeightFiles(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) Bad(path, "does not exist");
  if (!std::filesystem::is_directory(status)) {
    if (path.filename().string().ends_with(".json")) return FromIndex(path);
    return {.where = path, .files = {path}, .sharded = false, .weight_map = {}};
  }
  for (const std::string stem : {"diffusion_pytorch_model", "model"}) {
    // The index of a variant is spelled in two ways.
    for (const std::string& name :
         {stem + ".safetensors", stem + ".safetensors.index.json", stem + ".fp16.safetensors",
          stem + ".safetensors.index.fp16.json", stem + ".fp16.safetensors.index.json"}) {
      const auto file = path / name;
      if (!std::filesystem::exists(file)) continue;
      if (name.ends_with(".json")) return FromIndex(file);
      return {.where = file, .files = {file}, .sharded = false, .weight_map = {}};
    }
  }
  Bad(path,
      "has no weights: looked for diffusion_pytorch_model.safetensors and model.safetensors, their "
      ".fp16. variants and their .index.json" +
          Advice(path));
}

std::map<std::string, std::string> ParseShardIndex(std::string_view text,
                                                   const std::string& where) {
  const nlohmann::json index = ParseJson(text, where, kIndexLimits);
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (map == index.end() || !map->is_object()) Bad(where, "weight_map must be an object");
  if (map->empty()) Bad(where, "weight_map names no tensors");
  std::map<std::string, std::string> out;
  for (const auto& [tensor, shard] : map->items()) {
    if (!shard.is_string()) {
      Bad(where,
          "weight_map of " + Printable(tensor) + " must be a file name, but is " + Brief(shard));
    }
    const auto& name = shard.get_ref<const std::string&>();
    if (!IsPlainFileName(name) || !name.ends_with(".safetensors")) {
      Bad(where, "weight_map of " + Printable(tensor) + " names " + Printable(name) +
                     ", which is not a .safetensors file of the same folder");
    }
    out.emplace(tensor, name);
  }
  return out;
}

}  // namespace fovea
