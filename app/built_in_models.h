// Where the models and the attention plans that come with the program are.
#pragma once

#include <filesystem>

namespace fovea {

// The folder "models" under, in this order: the environment variable FOVEA_ASSETS, ../share/fovea
// beside the program, the source tree that it was built from. The last one if none exists.
std::filesystem::path BuiltInModelsFolder();
// The folder "plans" at the same places: presets, NAME.plan each.
std::filesystem::path BuiltInPlansFolder();
// The folder "perturbs": presets of --perturb, NAME.perturb each.
std::filesystem::path BuiltInPerturbsFolder();
// The folder "configs": of single-file checkpoints, one in the diffusers layout for each kind.
std::filesystem::path BuiltInConfigsFolder();

}  // namespace fovea
