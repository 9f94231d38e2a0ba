// The config.json of DiTTransformer2DModel, and of Transformer2DModel where that is what it means,
// every field of diffusers' class read, refused by name or known to have no effect.
#pragma once

#include <cstdint>

#include "models/config.h"
#include "tensor/backend.h"

namespace fovea {

struct DitConfig {
  int sample_size = 32;  // of the trained latent
  int patch = 2;
  int64_t in_channels = 4, out_channels = 4;
  int layers = 28, heads = 16;
  int64_t head_dim = 72;
  bool attention_bias = true;
  Act act = Act::kGeluTanh;
  bool gated = false;  // the feed-forward layer has a gate, as GEGLU
  int num_classes = 1000;
  bool norm_affine = false;  // of the norm before the feed-forward layer
  double norm_eps = 1e-5;

  int64_t Channels() const { return heads * head_dim; }
};

// Throws kBadFile for wrong values and kUnsupported for what we lack, naming file and field.
DitConfig ReadDitConfig(const Config& config);

}  // namespace fovea
