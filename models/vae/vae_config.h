// The config.json of AutoencoderKL, every field read, refused by name or known to have no effect.
#pragma once

#include <cstdint>
#include <vector>

#include "models/config.h"
#include "tensor/backend.h"

namespace fovea {

struct VaeConfig {
  int64_t in_channels = 3, out_channels = 3, latent_channels = 4;
  std::vector<int64_t> block_out_channels{64};
  int layers_per_block = 1;
  Act act = Act::kSilu;
  int norm_num_groups = 32;
  bool use_quant_conv = true, use_post_quant_conv = true;
  bool mid_block_add_attention = true;
  int sample_size = 32;
  double scaling_factor = 0.18215, shift_factor = 0;
};

// Throws kBadFile for wrong values and kUnsupported for what we lack, naming file and field.
VaeConfig ReadVaeConfig(const Config& config);

}  // namespace fovea
