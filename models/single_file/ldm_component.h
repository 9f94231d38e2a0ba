// Where the components of a pipeline lie in an original ("ldm") checkpoint.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "models/safetensors.h"
#include "models/single_file/ldm_names.h"

namespace fovea {

struct LdmHome {
  LdmModule module = LdmModule::kUNet;
  std::string prefix;  // of the names of its tensors
};

// `component` as in model_index.json: "unet", "vae", "text_encoder", "text_encoder_2". None if the
// file does not have it.
std::optional<LdmHome> FindLdmHome(const SafetensorsHeader& header, std::string_view component);

// The numbers of names from a component's config.json. Throws kBadFile.
LdmLayout ReadLdmLayout(const std::filesystem::path& config_json);

std::shared_ptr<const TensorNames> LdmTensorNames(const LdmHome& home, const LdmLayout& layout);

}  // namespace fovea
