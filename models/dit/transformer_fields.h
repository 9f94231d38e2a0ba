// What the configs of the transformer denoisers have in common.
#pragma once

#include "models/config.h"

namespace fovea {

inline constexpr int64_t kMaxDitChannels = 1 << 16;
inline constexpr int64_t kMaxDitLayers = 1024;
inline constexpr int64_t kMaxDitSample = 1 << 14;

// Present and null, which for some fields differs from absent.
bool IsExplicitNull(const Config& config, const char* field);
// out_channels: null means as many as come in.
int64_t ReadOutChannels(const Config& config, int64_t in_channels, int64_t otherwise);
// patch_size, which must fit into sample_size.
int ReadPatch(const Config& config, int sample_size, int64_t otherwise);
// heads * head_dim, within bounds.
void CheckDitChannels(const Config& config, int64_t heads, int64_t head_dim);

}  // namespace fovea
