// Encoder and Decoder of AutoencoderKL, and the mid block that both have.
//
// Every result lies at the beginning of one buffer, so that the largest feature maps (256 channels
// at the picture's full size) exist once.
#pragma once

#include <optional>
#include <vector>

#include "attention/attention_runtime.h"
#include "models/unet/resnet_block.h"
#include "models/vae/vae_config.h"

namespace fovea {

// Attention over all pixels with one head, added to its input. Older checkpoints call the weights
// query, key, value and proj_attn; converted LDM checkpoints hold them as 1x1 convolutions.
struct VaeAttention {
  AttentionSite site;
  GroupNorm group_norm;
  Weight to_q, to_k, to_v, to_out;

  static VaeAttention Load(const WeightScope& scope, const VaeConfig& config, int64_t channels,
                           int side, std::vector<AttentionSite>& sites);
  // x (n,h,w,c), updated in place
  void Forward(Context& ctx, AttentionRuntime& attention, const Tensor& x) const;
};

struct VaeMidBlock {
  std::vector<ResnetBlock2D> resnets;
  std::optional<VaeAttention> attention;

  static VaeMidBlock Load(const WeightScope& scope, const VaeConfig& config, int side,
                          std::vector<AttentionSite>& sites);
  // x (n,h,w,c), updated in place
  void Forward(Context& ctx, AttentionRuntime& attention_runtime, const Tensor& x) const;
};

struct VaeDownBlock {
  std::vector<ResnetBlock2D> resnets;
  std::optional<Downsample2D> downsampler;
};

struct VaeEncoder {
  Weight conv_in, conv_out;
  std::vector<VaeDownBlock> down_blocks;
  VaeMidBlock mid_block;
  GroupNorm conv_norm_out;

  static VaeEncoder Load(const WeightScope& scope, const VaeConfig& config,
                         std::vector<AttentionSite>& sites);
  // x (n,H,W,in) -> out (n,h,w,2*latent)
  void Forward(Context& ctx, AttentionRuntime& attention, const Tensor& x, const Tensor& out) const;
};

struct VaeUpBlock {
  std::vector<ResnetBlock2D> resnets;
  std::optional<Upsample2D> upsampler;
};

struct VaeDecoder {
  Weight conv_in, conv_out;
  VaeMidBlock mid_block;
  std::vector<VaeUpBlock> up_blocks;
  GroupNorm conv_norm_out;

  static VaeDecoder Load(const WeightScope& scope, const VaeConfig& config,
                         std::vector<AttentionSite>& sites);
  // z (n,h,w,latent) -> out (n,H,W,out)
  void Forward(Context& ctx, AttentionRuntime& attention, const Tensor& z, const Tensor& out) const;
};

}  // namespace fovea
