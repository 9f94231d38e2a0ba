// From a name to a model's folder or file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace fovea {

// --models, FOVEA_MODELS (colon-separated), ~/.local/share/fovea/models, the built-in ones.
std::vector<std::filesystem::path> ModelSearchPath(const std::vector<std::string>& from_flags,
                                                   const std::filesystem::path& built_in);

// `model` is a path, or a name looked up in the roots of `search` in order, with or without
// .safetensors; empty: the built-in model. First where the name says, in each root and its folders
// of models (models/search/model_tree.h), ORG/NAME in Hugging Face's cache; then anywhere below, by
// the last parts of a path: "style" and "people/style" both find Lora/2024/people/style. A name
// that fits several models of a root throws kUsage listing them, one that fits none anywhere
// kBadFile listing where it looked, a pickled .ckpt kUnsupported.
std::filesystem::path FindModel(const std::string& model,
                                const std::vector<std::filesystem::path>& search);
// The same for a LoRA file. Of a folder as PEFT writes it, its adapter_model.safetensors.
std::filesystem::path FindLora(const std::string& name,
                               const std::vector<std::filesystem::path>& search);

struct ListedModel {
  std::string name;  // by which it is found, unless it stands behind another of that name
  std::string kind;  // "pipeline", "component", "checkpoint", "lora", "vae", "tokenizer"
  uint64_t bytes = 0;
  std::filesystem::path path;
};

struct ModelListing {
  std::vector<ListedModel> models;    // root after root, sorted by kind and name
  std::vector<std::string> warnings;  // trees too large to be looked through
};

ModelListing ListModels(const std::vector<std::filesystem::path>& search);

}  // namespace fovea
