// A single-file checkpoint in the original ("ldm") names, opened as if it were a pipeline folder.
//
// Such a file has weights only. Configs come from a folder in the diffusers layout without weights:
// one of our own (assets/configs) or the user's. The weights stay mapped; models read them by name
// through models/single_file/ldm_names.h.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "models/model_folder.h"

namespace fovea {

struct SingleFileOptions {
  std::filesystem::path configs;              // folder of our own configs
  std::string config;                         // one of them, or a folder; empty: by shapes
  std::filesystem::path tokenizer;            // folder; empty: found in `search`
  std::vector<std::filesystem::path> search;  // the model search path
};

// The components that both the config and the file have, with their config folders and this file.
// `notes` of the result name what was chosen. A tokenizer is looked for only where the config has
// one, and only one of the text encoder's size is taken; without one the component says what to do.
// Throws kBadFile for a file that is no such checkpoint, has tensors of no component, or does not
// fit the named config; kUsage for an unknown config.
ModelFolder OpenSingleFile(const std::filesystem::path& file, const SingleFileOptions& options);

}  // namespace fovea
