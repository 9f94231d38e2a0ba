// Which models a person can choose from.
#pragma once

#include <string>
#include <vector>

#include "app/engine/model_access.h"
#include "ui/snapshot.h"

namespace fovea {

// Every pipeline folder and single file on the search path, then `recent` ones that are not among
// them. Reads only model_index.json.
// *loras becomes the names of the LoRA files on the search path.
std::vector<ModelChoice> ListModelChoices(const ModelAccess& access,
                                          const std::vector<std::string>& recent,
                                          std::vector<std::string>* loras);

}  // namespace fovea
