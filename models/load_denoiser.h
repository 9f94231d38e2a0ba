// Denoising networks by the name of their class.
#pragma once

#include <memory>
#include <string>

#include "models/config.h"
#include "models/denoiser.h"
#include "models/weight_store.h"

namespace fovea {

// Throws what the class's Load throws, and kUnsupported for a class that is no denoiser of ours,
// naming those that are.
std::unique_ptr<Denoiser> LoadDenoiser(const std::string& class_name, const Config& config,
                                       std::shared_ptr<const WeightStore> weights);

}  // namespace fovea
