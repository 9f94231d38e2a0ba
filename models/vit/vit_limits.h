// Bounds and checks that both readers of ViT configs share.
#pragma once

#include <cstdint>
#include <string_view>

#include "models/config.h"
#include "models/vit/vit_config.h"

namespace fovea {

constexpr int64_t kMostWidth = 1 << 16, kMostMlp = 1 << 20, kMostLayers = 1024;
constexpr int64_t kMostChannels = 64, kMostPixels = 1 << 14, kMostRegisters = 4096;
constexpr int64_t kMostLabels = 1 << 20;

// "image_size": one number or [height, width].
void ReadSides(const Config& config, std::string_view field, int64_t otherwise, int64_t* height,
               int64_t* width);
// What must hold among the fields. Throws kBadFile.
void CheckVitConfig(const Config& config, const VitConfig& vit);

}  // namespace fovea
