// Which models there are, and opening one: what the desk and the engine share of the command line's
// rules for names and search paths.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/flags/common_flags.h"
#include "models/model_folder.h"
#include "pipelines/settings/settings.h"
#include "ui/snapshot.h"

namespace fovea {

// What a run is given beside its settings, which name it; null: nothing.
struct GivenInputs {
  ImagePtr image, mask;
};

struct ModelAccess {
  std::vector<std::string> folders;  // --models

  // The model of these settings with their LoRA files. Throws kBadFile, kUsage.
  ModelFolder Open(const GenerateSettings& settings) const;
  // Every pipeline folder and single file on the search path, then `recent` ones that are not among
  // them. Reads only model_index.json.
  // The names of LoRA files there are go to *loras.
  std::vector<ModelChoice> List(const std::vector<std::string>& recent,
                                std::vector<std::string>* loras) const;
};

// Equal for settings that need the same weights.
std::string WeightsKey(const GenerateSettings& settings);

}  // namespace fovea
