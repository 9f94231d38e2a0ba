// Settings that were asked for and cannot act: each is said, none is silently ignored.
#pragma once

#include <string>
#include <vector>

#include "pipelines/generation/diffusion_model.h"
#include "pipelines/settings/generate_inputs.h"

namespace fovea {

// One line each; empty where everything acts. `settings` are resolved; `calls` are those of
// the network in one pass.
std::vector<std::string> IdleSettings(const DiffusionModel& model, const GenerateSettings& settings,
                                      const GenerateInputs& inputs, int calls);

}  // namespace fovea
