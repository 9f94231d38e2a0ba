// The config.json of UNet2DConditionModel, every field of diffusers' class read, refused by name or
// known to have no effect.
#pragma once

#include <cstdint>
#include <vector>

#include "models/config.h"
#include "tensor/backend.h"

namespace fovea {

// One resolution: a down block and the up block that mirrors it.
struct UNetLevel {
  int64_t channels = 320;
  int layers = 2;  // resnets of the down block; the up block has one more
  int heads = 8;   // attention_head_dim counts heads in this class, whatever its name says
  bool down_attention = true, up_attention = true;
  bool only_cross_attention = false;
  std::vector<int> down_transformers, up_transformers;  // transformer layers beside each resnet
};

struct UNetConfig {
  int64_t in_channels = 4, out_channels = 4;
  int sample_height = 64, sample_width = 64;
  bool center_input_sample = false;
  bool flip_sin_to_cos = true;
  double freq_shift = 0;
  std::vector<UNetLevel> levels;
  bool mid_block = true, mid_attention = true;
  int mid_transformers = 1;
  int downsample_padding = 1;
  double mid_block_scale_factor = 1;
  Act act = Act::kSilu;
  int norm_num_groups = 32;
  double norm_eps = 1e-5;
  int64_t cross_attention_dim = 1280;
  bool scale_shift = false;
  int64_t time_embedding_dim = 1280;
  Act time_embedding_act = Act::kNone, timestep_post_act = Act::kNone;
  int64_t time_cond_proj_dim = 0;  // 0: none
  // Of addition_embed_type "text_time": inputs of add_embedding, and sinusoids of one number among
  // them; 0: none.
  int64_t addition_dim = 0, addition_time_dim = 0;
  int conv_in_kernel = 3, conv_out_kernel = 3;
};

// Throws kBadFile for wrong values and kUnsupported for what we lack, naming file and field.
UNetConfig ReadUNetConfig(const Config& config);

}  // namespace fovea
