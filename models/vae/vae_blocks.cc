#include "models/vae/vae_blocks.h"

#include <algorithm>

#include "tensor/ops/elementwise.h"
#include "tensor/ops/product/linear.h"
#include "tensor/trace.h"

namespace fovea {
namespace {

constexpr double kEps = 1e-6;

ResnetOptions ResnetOptionsOf(const VaeConfig& config) {
  return {.groups = config.norm_num_groups, .eps = kEps, .act = config.act};
}

// A projection under its present or its former name, as a matrix or as a 1x1 convolution.
Weight LoadProjection(const WeightScope& scope, std::string_view name, std::string_view former,
                      int64_t channels) {
  return scope.Linear(scope.Has(std::string(former) + ".weight") ? former : name, channels,
                      channels);
}

Shape WithChannels(const Tensor& image, int64_t channels) {
  return {image.shape[0], image.shape[1], image.shape[2], channels};
}

}  // namespace

VaeAttention VaeAttention::Load(const WeightScope& scope, const VaeConfig& config, int64_t channels,
                                int side, std::vector<AttentionSite>& sites) {
  VaeAttention attention;
  attention.group_norm =
      GroupNorm::Load(scope, "group_norm", channels, config.norm_num_groups, kEps);
  attention.to_q = LoadProjection(scope, "to_q", "query", channels);
  attention.to_k = LoadProjection(scope, "to_k", "key", channels);
  attention.to_v = LoadProjection(scope, "to_v", "value", channels);
  attention.to_out = LoadProjection(scope, "to_out.0", "proj_attn", channels);
  attention.site = {scope.Path(),
                    static_cast<int>(sites.size()),
                    SiteKind::kSelf,
                    1,
                    static_cast<int>(channels),
                    GridLayout(side, side)};
  sites.push_back(attention.site);
  return attention;
}

void VaeAttention::Forward(Context& ctx, AttentionRuntime& attention, const Tensor& x) const {
  ArenaScope scope(ctx.arena);
  const int64_t n = x.shape[0], t = x.shape[1] * x.shape[2], c = x.shape[3];
  const Tensor tokens = x.Reshape({n, t, c});
  const Tensor normed = ctx.New(tokens.shape);  // (n,t,c), later the attention's result
  group_norm.Forward(ctx, tokens, normed);
  {
    ArenaScope inner(ctx.arena);
    const Tensor q = ctx.New(tokens.shape), k = ctx.New(tokens.shape), v = ctx.New(tokens.shape);
    ops::Linear(ctx, normed, to_q, q);
    ops::Linear(ctx, normed, to_k, k);
    ops::Linear(ctx, normed, to_v, v);
    AttentionSpec spec;
    spec.batch = static_cast<int>(n);
    spec.head_dim = static_cast<int>(c);
    spec.q = spec.kv = GridLayout(static_cast<int>(x.shape[1]), static_cast<int>(x.shape[2]));
    spec.dtype = ctx.dtype;
    spec.device = ctx.backend.Kind();
    const Shape heads{n, t, 1, c};
    attention.Attend(
        ctx, site, spec,
        {q.Reshape(heads), k.Reshape(heads), v.Reshape(heads), normed.Reshape(heads), Tensor{}});
  }
  ops::Linear(ctx, normed, to_out, tokens, {.residual = &tokens});
}

VaeMidBlock VaeMidBlock::Load(const WeightScope& scope, const VaeConfig& config, int side,
                              std::vector<AttentionSite>& sites) {
  VaeMidBlock block;
  const int64_t channels = config.block_out_channels.back();
  for (int i = 0; i < 2; ++i) {
    block.resnets.push_back(
        ResnetBlock2D::Load(scope.Sub("resnets", i), channels, channels, ResnetOptionsOf(config)));
  }
  if (config.mid_block_add_attention) {
    block.attention = VaeAttention::Load(scope.Sub("attentions", 0), config, channels, side, sites);
  }
  return block;
}

void VaeMidBlock::Forward(Context& ctx, AttentionRuntime& attention_runtime,
                          const Tensor& x) const {
  TRACE_ZONE("vae.mid_block");
  if (ctx.Cancelled()) return;
  resnets[0].Forward(ctx, x, Tensor{}, x);
  if (ctx.Cancelled()) return;
  if (attention) attention->Forward(ctx, attention_runtime, x);
  if (ctx.Cancelled()) return;
  resnets[1].Forward(ctx, x, Tensor{}, x);
}

VaeEncoder VaeEncoder::Load(const WeightScope& scope, const VaeConfig& config,
                            std::vector<AttentionSite>& sites) {
  VaeEncoder encoder;
  const std::vector<int64_t>& channels = config.block_out_channels;
  encoder.conv_in = scope.Conv2d("conv_in", config.in_channels, channels.front(), 3);
  int64_t in = channels.front(), side = config.sample_size;
  for (size_t i = 0; i < channels.size(); ++i) {
    const WeightScope block_scope = scope.Sub("down_blocks", static_cast<int>(i));
    VaeDownBlock block;
    for (int k = 0; k < config.layers_per_block; ++k) {
      block.resnets.push_back(ResnetBlock2D::Load(block_scope.Sub("resnets", k), in, channels[i],
                                                  ResnetOptionsOf(config)));
      in = channels[i];
    }
    if (i + 1 < channels.size()) {
      block.downsampler = Downsample2D::Load(block_scope.Sub("downsamplers", 0), in, 0);
      side = DownsampledSide(side, 0);
    }
    encoder.down_blocks.push_back(std::move(block));
  }
  encoder.mid_block =
      VaeMidBlock::Load(scope.Sub("mid_block"), config, static_cast<int>(side), sites);
  encoder.conv_norm_out = GroupNorm::Load(scope, "conv_norm_out", in, config.norm_num_groups, kEps);
  encoder.conv_out = scope.Conv2d("conv_out", in, 2 * config.latent_channels, 3);
  return encoder;
}

void VaeEncoder::Forward(Context& ctx, AttentionRuntime& attention, const Tensor& x,
                         const Tensor& out) const {
  TRACE_ZONE("vae.encoder");
  ArenaScope scope(ctx.arena);
  int64_t largest = 0, pixels = x.shape[0] * x.shape[1] * x.shape[2];
  for (const VaeDownBlock& block : down_blocks) {  // sides at least halve, channels may double
    largest = std::max({largest, pixels * conv_in.Out(), pixels * block.resnets[0].conv2.Out()});
    if (block.downsampler) pixels = pixels / 4;
  }
  const Tensor buffer = ctx.New({largest});
  Tensor hidden = ViewOf(buffer, WithChannels(x, conv_in.Out()));  // (n,h,w,c)
  SameConv2d(ctx, x, conv_in, hidden);
  for (const VaeDownBlock& block : down_blocks) {
    for (const ResnetBlock2D& resnet : block.resnets) {
      if (ctx.Cancelled()) return;
      const Tensor result = ViewOf(buffer, WithChannels(hidden, resnet.conv2.Out()));
      resnet.Forward(ctx, hidden, Tensor{}, result);
      hidden = result;
    }
    if (!block.downsampler) continue;
    ArenaScope inner(ctx.arena);
    const int padding = block.downsampler->padding;
    const Tensor smaller = ctx.New({hidden.shape[0], DownsampledSide(hidden.shape[1], padding),
                                    DownsampledSide(hidden.shape[2], padding), hidden.shape[3]});
    block.downsampler->Forward(ctx, hidden, smaller);
    hidden = ViewOf(buffer, smaller.shape);
    ops::Copy(ctx, smaller, hidden);
  }
  mid_block.Forward(ctx, attention, hidden);
  if (ctx.Cancelled()) return;
  conv_norm_out.Forward(ctx, hidden, hidden, Act::kSilu);
  SameConv2d(ctx, hidden, conv_out, out);
}

VaeDecoder VaeDecoder::Load(const WeightScope& scope, const VaeConfig& config,
                            std::vector<AttentionSite>& sites) {
  VaeDecoder decoder;
  const std::vector<int64_t>& channels = config.block_out_channels;
  int64_t in = channels.back(), side = config.sample_size;
  for (size_t i = 1; i < channels.size(); ++i) side = DownsampledSide(side, 0);
  decoder.conv_in = scope.Conv2d("conv_in", config.latent_channels, in, 3);
  decoder.mid_block =
      VaeMidBlock::Load(scope.Sub("mid_block"), config, static_cast<int>(side), sites);
  for (size_t i = 0; i < channels.size(); ++i) {
    const WeightScope block_scope = scope.Sub("up_blocks", static_cast<int>(i));
    const int64_t own = channels[channels.size() - 1 - i];
    VaeUpBlock block;
    for (int k = 0; k <= config.layers_per_block; ++k) {
      block.resnets.push_back(
          ResnetBlock2D::Load(block_scope.Sub("resnets", k), in, own, ResnetOptionsOf(config)));
      in = own;
    }
    if (i + 1 < channels.size()) {
      block.upsampler = Upsample2D::Load(block_scope.Sub("upsamplers", 0), own);
    }
    decoder.up_blocks.push_back(std::move(block));
  }
  decoder.conv_norm_out = GroupNorm::Load(scope, "conv_norm_out", in, config.norm_num_groups, kEps);
  decoder.conv_out = scope.Conv2d("conv_out", in, config.out_channels, 3);
  return decoder;
}

void VaeDecoder::Forward(Context& ctx, AttentionRuntime& attention, const Tensor& z,
                         const Tensor& out) const {
  TRACE_ZONE("vae.decoder");
  ArenaScope scope(ctx.arena);
  int64_t pixels = z.shape[0] * z.shape[1] * z.shape[2];
  int64_t largest = pixels * conv_in.Out();
  for (const VaeUpBlock& block : up_blocks) {
    if (block.upsampler) pixels *= 4;
    largest = std::max(largest, pixels * block.resnets[0].conv2.Out());
  }
  const size_t begin = ctx.arena.Mark();
  const Tensor buffer = ctx.New({largest});
  Tensor hidden = ViewOf(buffer, WithChannels(z, conv_in.Out()));  // (n,h,w,c)
  SameConv2d(ctx, z, conv_in, hidden);
  mid_block.Forward(ctx, attention, hidden);
  for (const VaeUpBlock& block : up_blocks) {
    for (const ResnetBlock2D& resnet : block.resnets) {
      if (ctx.Cancelled()) return;
      const Tensor result = ViewOf(buffer, WithChannels(hidden, resnet.conv2.Out()));
      resnet.Forward(ctx, hidden, Tensor{}, result);
      hidden = result;
      // Nothing larger follows in the last block: the rest of the buffer is scratch again.
      if (!block.upsampler) ctx.arena.Release(begin + (hidden.Bytes() + 63) / 64 * 64);
    }
    if (!block.upsampler) continue;
    if (ctx.Cancelled()) return;
    const Tensor larger = ViewOf(
        buffer, {hidden.shape[0], 2 * hidden.shape[1], 2 * hidden.shape[2], hidden.shape[3]});
    block.upsampler->Forward(ctx, hidden, larger);
    hidden = larger;
  }
  if (ctx.Cancelled()) return;
  conv_norm_out.Forward(ctx, hidden, hidden, Act::kSilu);
  SameConv2d(ctx, hidden, conv_out, out);
}

}  // namespace fovea
