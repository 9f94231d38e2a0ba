// Opening a model by the command line's rules for names and search paths.
#pragma once

#include <string>
#include <vector>

#include "models/model_folder.h"
#include "pipelines/settings/settings.h"

namespace fovea {

struct ModelAccess {
  std::vector<std::string> folders;  // --models

  // The model of these settings with their LoRA files. Throws kBadFile, kUsage.
  ModelFolder Open(const GenerateSettings& settings) const;
};

// Equal for settings that need the same weights.
std::string WeightsKey(const GenerateSettings& settings);

}  // namespace fovea
