// The config.json of SD3Transformer2DModel, every field of diffusers' class read, refused by name
// or known to have no effect.
#pragma once

#include <cstdint>
#include <vector>

#include "models/config.h"

namespace fovea {

struct Sd3Config {
  int sample_size = 128;  // of the trained latent
  int patch = 2;
  int64_t in_channels = 16, out_channels = 16;
  int layers = 18, heads = 18;
  int64_t head_dim = 64;
  int64_t context_dim = 4096, pooled_dim = 2048;
  int max_grid = 96;       // tokens a side of the position table; 0: sines
  std::vector<bool> dual;  // a layer: whether it has a second, image-only attention
  bool qk_norm = false;    // RMS norms of queries and keys

  int64_t Channels() const { return heads * head_dim; }
};

// Throws kBadFile for wrong values and kUnsupported for what we lack, naming file and field.
Sd3Config ReadSd3Config(const Config& config);

}  // namespace fovea
