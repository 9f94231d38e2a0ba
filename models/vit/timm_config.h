// timm's config.json: an architecture's name, and what differs from it.
#pragma once

#include <string>

#include "models/vit/vit_config.h"

namespace fovea {

// What Config::ClassName says of timm's files, which name an `architecture`, not a class.
inline constexpr const char* kTimmClass = "VisionTransformer";

// vit_*, deit_*, deit3_*, and the official Agent-DeiT under "agent_deit_*"; `model_args` are the
// arguments of timm's VisionTransformer. Throws as ReadVitConfig.
VitConfig ReadTimmConfig(const Config& config);

}  // namespace fovea
