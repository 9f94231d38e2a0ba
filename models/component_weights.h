// The config and the weights of a model's component, wherever it keeps them: its folder, a folder
// that it shares, or a single file, with the LoRA files and the overlay that were chosen for it.
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
// Gives the overlay to `component`, or, if it is empty, to the pipeline's denoiser or the only
// component. Throws kUnsupported if there is none such.
void AddOverlay(ModelFolder& model, const std::string& component,
                const std::filesystem::path& overlay);

}  // namespace fovea
