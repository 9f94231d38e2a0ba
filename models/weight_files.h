// Which files hold a component's weights: one file, or shards with an index.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace fovea {

struct WeightFiles {
  std::filesystem::path where;               // the file or the index, for messages
  std::vector<std::filesystem::path> files;  // each once
  bool sharded = false;
  std::map<std::string, std::string> weight_map;  // sharded: tensor name to file name
};

// `path` is a .safetensors file or a folder. In a folder, in this order: <stem>.safetensors,
// <stem>.safetensors.index.json and the "fp16" variant of either, for stem
// "diffusion_pytorch_model", then "model". Throws kBadFile saying what was looked for.
WeightFiles FindWeightFiles(const std::filesystem::path& path);

// The weight_map of an index. Names of shards are plain file names. Throws kBadFile. Pure.
std::map<std::string, std::string> ParseShardIndex(std::string_view text, const std::string& where);

}  // namespace fovea
