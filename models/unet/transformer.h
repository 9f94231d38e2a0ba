// Transformer2DModel: attention over the pixels of a feature map, and from them to the text.
//
// Vaswani et al. (2017) blocks with a GEGLU feed-forward (Shazeer, "GLU Variants", 2020). Names and
// numerics are those of diffusers; channels-last, a feature map is its own token matrix.
#pragma once

#include <vector>

#include "attention/attention_runtime.h"
#include "models/layers.h"
#include "models/row_split.h"
#include "models/unet/raunet.h"

namespace fovea {

// Everything that stays the same through one forward pass of a U-Net. States have memory for all n
// rows; what is computed at first may be fewer: those of `live`.
struct UNetPass {
  Context& ctx;
  AttentionRuntime& attention;
  Tensor temb;     // (n, temb) activated
  Tensor context;  // (n, t, context)
  LiveRows live;
  std::vector<Tensor> skips = {};  // (n,h,w,c) each, as far as they are made and not consumed
  RaunetStage raunet = {};
  int64_t pooled_height = 0, pooled_width = 0;  // before RAU-Net's pooling, set by the down block
};

struct TransformerOptions {
  int64_t channels = 320;  // of the feature map
  int heads = 8;
  int64_t head_dim = 40;  // heads * head_dim may be less than channels
  int64_t context_dim = 768;
  int layers = 1;
  int groups = 32;
  bool only_cross_attention = false;
  int height = 64, width = 64;  // of the feature map at the model's own size
};

// softmax(q k / sqrt(d)) v with projections; keys and values come from the context if it crosses.
struct CrossAttention {
  AttentionSite site;
  Weight to_q, to_k, to_v, to_out;

  // Appends its site to `sites`.
  static CrossAttention Load(const WeightScope& scope, SiteKind kind,
                             const TransformerOptions& options, std::vector<AttentionSite>& sites);
  // hidden (n,t,inner) += attention(normed (n,t,inner)); `grid` describes the t tokens. n may be
  // fewer rows than the pass has: the first ones.
  void AddTo(UNetPass& pass, const Tensor& normed, const TokenLayout& grid,
             const Tensor& hidden) const;
};

// net.2(GEGLU(net.0.proj(x)))
struct FeedForward {
  Weight net_0_proj, net_2;

  static FeedForward Load(const WeightScope& scope, int64_t channels);
  // hidden (n,t,inner) += feed_forward(normed (n,t,inner))
  void AddTo(Context& ctx, const Tensor& normed, const Tensor& hidden) const;
};

struct BasicTransformerBlock {
  LayerNorm norm1, norm2, norm3;
  CrossAttention attn1, attn2;
  FeedForward ff;

  static BasicTransformerBlock Load(const WeightScope& scope, const TransformerOptions& options,
                                    std::vector<AttentionSite>& sites);
  // hidden (n,t,inner), updated in place
  void Forward(UNetPass& pass, const TokenLayout& grid, const Tensor& hidden) const;
};

struct Transformer2DModel {
  GroupNorm norm;
  Weight proj_in, proj_out;  // matrices or 1x1 convolutions in the file: channels-last, all one
  std::vector<BasicTransformerBlock> transformer_blocks;

  static Transformer2DModel Load(const WeightScope& scope, const TransformerOptions& options,
                                 std::vector<AttentionSite>& sites);
  // x (n,h,w,c) -> out (n,h,w,c), not x. Where pass.live parts on the way, x and the skips hold all
  // rows from then on.
  void Forward(UNetPass& pass, const Tensor& x, const Tensor& out) const;
};

}  // namespace fovea
