// A whole CLIP in one folder (class CLIPModel): two towers that share config.json and weights.
//
// Seen as two components, "text_model" and "vision_model", each a class of its own.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "models/config.h"
#include "models/model_folder.h"
#include "models/tensor_names.h"

namespace fovea {

bool IsClipPair(const Config& config);
// The towers, and the tokenizer where the folder has one.
std::vector<ComponentFolder> ClipPairComponents(const std::filesystem::path& folder);
// The config of one tower as its own class would have it. Throws kBadFile.
Config ClipPairConfig(const Config& pair, const std::string& class_name);
// Which of the pair's tensors are the component's; null for components that are no tower.
std::shared_ptr<const TensorNames> ClipPairNames(const std::string& component);

}  // namespace fovea
