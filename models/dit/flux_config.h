// The config.json of FluxTransformer2DModel, every field of diffusers' class read or refused by
// name.
#pragma once

#include <array>
#include <cstdint>

#include "models/config.h"

namespace fovea {

struct FluxConfig {
  int patch = 1;  // a token's result has patch * patch * out_channels numbers
  int64_t in_channels = 64, out_channels = 64;
  int layers = 19, single_layers = 38, heads = 24;
  int64_t head_dim = 128;
  int64_t context_dim = 4096, pooled_dim = 768;
  bool guidance = false;
  std::array<int64_t, 3> axes{16, 56, 56};  // channels of a head that turn by each position

  int64_t Channels() const { return heads * head_dim; }
};

// Throws kBadFile for wrong values and kUnsupported for what we lack, naming file and field.
FluxConfig ReadFluxConfig(const Config& config);

}  // namespace fovea
