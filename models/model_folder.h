// What a model is on disk: a diffusers pipeline or a single component.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/config.h"
#include "models/lora/lora_choice.h"

namespace fovea {

// One entry of model_index.json, or a component folder alone.
struct ComponentFolder {
  std::string name;        // "unet", "vae", "text_encoder", ...; "" for a component folder alone
  std::string class_name;  // "UNet2DConditionModel"
  std::filesystem::path folder;
  // Of models/single_file: the checkpoint that holds the weights, while `folder` has the config;
  // for a tokenizer, whose own settings win over those in `folder`; why `folder` is not there.
  std::filesystem::path single_file = {};
  std::filesystem::path settings = {};
  std::string missing = {};
  std::vector<LoraChoice> loras = {};  // added to its weights, in this order
  std::filesystem::path overlay = {};  // a file whose tensors replace those of the same names
};

struct ModelFolder {
  std::filesystem::path folder;  // or the single file
  std::string name;              // its own name, of a file without extension
  std::string pipeline_class;    // _class_name of model_index.json; "" for a component folder alone
  std::vector<ComponentFolder> components;  // null entries of model_index.json are left out
  std::vector<std::string> notes;           // what was chosen for the user, a line each
  std::map<std::string, bool> flags;        // settings of model_index.json that are true or false
  bool Flag(const std::string& flag, bool otherwise) const;
  const ComponentFolder* Find(std::string_view component) const;
  const ComponentFolder& Get(std::string_view component) const;  // throws kBadFile naming it
};

// Reads a pipeline folder or a component folder. A component of model_index.json may be a relative
// path instead of a subfolder: ["diffusers", "AutoencoderKL", "../still-life-unet/vae"].
ModelFolder OpenModelFolder(const std::filesystem::path& folder);

}  // namespace fovea
