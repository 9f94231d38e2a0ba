// Adapter files as additions to the weights of a model's components.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "models/lora/lora_choice.h"
#include "models/model_folder.h"
#include "models/weight_deltas.h"

namespace fovea {

// Sets `loras` of every component that such files can be for. Of a pipeline, a file for components
// that it does not have is an error that lists them (kBadFile).
void AddLoras(ModelFolder& model, const std::vector<LoraChoice>& loras);

// The sum of component.loras. `config_json` tells how the original names count its blocks.
std::shared_ptr<const WeightDeltas> OpenLoraDeltas(const ComponentFolder& component,
                                                   const std::filesystem::path& config_json);

}  // namespace fovea
