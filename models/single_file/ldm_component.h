// Where the components of a pipeline lie in an original ("ldm") checkpoint.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "models/files/safetensors.h"
#include "models/single_file/ldm_names.h"

namespace fovea {

struct LdmHome {
  LdmModule module = LdmModule::kUNet;
  std::string prefix;  // of the names of its tensors
};

// `component` as in model_index.json: "unet", "transformer", "vae", "text_encoder", ... None if the
// file does not have it. Second encoders may be CLIP's or T5's: `class_name` tells which is meant,
// where it is not empty.
std::optional<LdmHome> FindLdmHome(const SafetensorsHeader& header, std::string_view component,
                                   std::string_view class_name = {});

// The numbers of names from a component's config.json. Throws kBadFile.
LdmLayout ReadLdmLayout(const std::filesystem::path& config_json);

std::shared_ptr<const TensorNames> LdmTensorNames(const LdmHome& home, const LdmLayout& layout);

}  // namespace fovea
