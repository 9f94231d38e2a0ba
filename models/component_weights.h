// The config and the weights of a model's component, wherever it keeps them: its folder, a folder
// that it shares, or a single file, with the LoRA files that were chosen for it.
#pragma once

#include <memory>

#include "models/config.h"
#include "models/model_folder.h"
#include "models/weight_store.h"

namespace fovea {

// Throws kBadFile.
Config ReadComponentConfig(const ComponentFolder& component);
// Throws kBadFile, kUnsupported.
std::shared_ptr<WeightStore> OpenWeights(const ComponentFolder& component);

}  // namespace fovea
