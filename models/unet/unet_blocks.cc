#include "models/unet/unet_blocks.h"

#include <algorithm>

#include "tensor/ops/elementwise.h"
#include "tensor/ops/resample/average_pool.h"
#include "tensor/ops/resample/resize_bicubic.h"
#include "tensor/trace.h"

namespace fovea {
namespace {

ResnetOptions ResnetOptionsOf(const UNetConfig& config) {
  return {.temb_channels = config.time_embedding_dim,
          .groups = config.norm_num_groups,
          .eps = config.norm_eps,
          .act = config.act,
          .scale_shift = config.scale_shift};
}

TransformerOptions TransformerOptionsOf(const UNetConfig& config, const UNetLevel& level,
                                        int height, int width) {
  return {.channels = level.channels,
          .heads = level.heads,
          .head_dim = level.channels / level.heads,
          .context_dim = config.cross_attention_dim,
          .groups = config.norm_num_groups,
          .only_cross_attention = level.only_cross_attention,
          .height = height,
          .width = width};
}

Shape WithChannels(const Tensor& image, int64_t channels) {
  return {image.shape[0], image.shape[1], image.shape[2], channels};
}

// One resnet and, where the block has attention, its transformer.
void ForwardPair(UNetPass& pass, const ResnetBlock2D& resnet, const Transformer2DModel* attention,
                 const Tensor& x, const Tensor& out) {
  Context& ctx = pass.ctx;
  const auto run = [&](const Tensor& to) {
    resnet.Forward(ctx, pass.live.Of(x), pass.live.Of(pass.temb), pass.live.Of(to));
  };
  if (attention == nullptr) return run(out);
  ArenaScope scope(ctx.arena);
  const Tensor hidden = ctx.New(out.shape);  // (n,h,w,c)
  run(hidden);
  if (ctx.Cancelled()) return;
  attention->Forward(pass, hidden, out);
}

// Channels of a and b side by side: (n,h,w,c1) and (n,h,w,c2) -> (n,h,w,c1+c2).
void Concatenate(Context& ctx, const Tensor& a, const Tensor& b, const Tensor& out) {
  ops::Copy(ctx, a, out.Slice(3, 0, a.shape[3]));
  ops::Copy(ctx, b, out.Slice(3, a.shape[3], b.shape[3]));
}

}  // namespace

UNetDownBlock UNetDownBlock::Load(const WeightScope& scope, const UNetConfig& config, int level,
                                  int height, int width, std::vector<AttentionSite>& sites) {
  UNetDownBlock block;
  const size_t index = static_cast<size_t>(level);
  const UNetLevel& own = config.levels[index];
  const int64_t before = config.levels[index == 0 ? 0 : index - 1].channels;
  TransformerOptions options = TransformerOptionsOf(config, own, height, width);
  for (int i = 0; i < own.layers; ++i) {
    block.resnets.push_back(ResnetBlock2D::Load(scope.Sub("resnets", i),
                                                i == 0 ? before : own.channels, own.channels,
                                                ResnetOptionsOf(config)));
    if (!own.down_attention) continue;
    options.layers = own.down_transformers[static_cast<size_t>(i)];
    block.attentions.push_back(
        Transformer2DModel::Load(scope.Sub("attentions", i), options, sites));
  }
  if (index + 1 < config.levels.size()) {
    block.downsampler =
        Downsample2D::Load(scope.Sub("downsamplers", 0), own.channels, config.downsample_padding);
  }
  return block;
}

void UNetDownBlock::Forward(UNetPass& pass, int index) const {
  TRACE_ZONE("unet.down_block");
  Context& ctx = pass.ctx;
  std::vector<Tensor>& skips = pass.skips;
  for (size_t i = 0; i < resnets.size(); ++i) {
    if (ctx.Cancelled()) return;
    const Transformer2DModel* attention = attentions.empty() ? nullptr : &attentions[i];
    const Tensor x = skips.back();
    const Shape whole = WithChannels(x, resnets[i].conv2.Out());
    if (i > 0 || pass.raunet.pool_down != index) {
      skips.push_back(ctx.New(whole));
      ForwardPair(pass, resnets[i], attention, x, skips.back());
      continue;
    }
    pass.pooled_height = whole[1];
    pass.pooled_width = whole[2];
    skips.push_back(ctx.New({whole[0], (whole[1] + 1) / 2, (whole[2] + 1) / 2, whole[3]}));
    ArenaScope scope(ctx.arena);
    const Tensor hidden = ctx.New(whole);  // (n,h,w,c)
    ForwardPair(pass, resnets[i], attention, x, hidden);
    if (!ctx.Cancelled()) {
      ops::AveragePool2x2(ctx, pass.live.Of(hidden), pass.live.Of(skips.back()));
    }
  }
  if (!downsampler || ctx.Cancelled()) return;
  const Tensor x = skips.back();
  if (pass.raunet.conv_down == index) {
    skips.push_back(ctx.New({x.shape[0], (x.shape[1] + 3) / 4, (x.shape[2] + 3) / 4, x.shape[3]}));
    downsampler->ForwardDilated(ctx, pass.live.Of(x), pass.live.Of(skips.back()));
    return;
  }
  skips.push_back(ctx.New({x.shape[0], DownsampledSide(x.shape[1], downsampler->padding),
                           DownsampledSide(x.shape[2], downsampler->padding), x.shape[3]}));
  downsampler->Forward(ctx, pass.live.Of(x), pass.live.Of(skips.back()));
}

UNetMidBlock UNetMidBlock::Load(const WeightScope& scope, const UNetConfig& config, int height,
                                int width, std::vector<AttentionSite>& sites) {
  UNetMidBlock block;
  const UNetLevel& level = config.levels.back();
  ResnetOptions resnet = ResnetOptionsOf(config);
  resnet.output_scale_factor = config.mid_block_scale_factor;
  const auto load_resnet = [&](int i) {
    block.resnets.push_back(
        ResnetBlock2D::Load(scope.Sub("resnets", i), level.channels, level.channels, resnet));
  };
  load_resnet(0);
  if (!config.mid_attention) return block;
  TransformerOptions options = TransformerOptionsOf(config, level, height, width);
  options.layers = config.mid_transformers;
  options.only_cross_attention = false;
  block.attentions.push_back(Transformer2DModel::Load(scope.Sub("attentions", 0), options, sites));
  load_resnet(1);
  return block;
}

void UNetMidBlock::Forward(UNetPass& pass, const Tensor& x, const Tensor& out) const {
  TRACE_ZONE("unet.mid_block");
  Context& ctx = pass.ctx;
  if (ctx.Cancelled()) return;
  ForwardPair(pass, resnets[0], attentions.empty() ? nullptr : &attentions[0], x, out);
  if (resnets.size() < 2 || ctx.Cancelled()) return;
  const Tensor own = pass.live.Of(out);
  resnets[1].Forward(ctx, own, pass.live.Of(pass.temb), own);
}

UNetUpBlock UNetUpBlock::Load(const WeightScope& scope, const UNetConfig& config, int index,
                              int height, int width, std::vector<AttentionSite>& sites) {
  UNetUpBlock block;
  const size_t level = config.levels.size() - 1 - static_cast<size_t>(index);
  const UNetLevel& own = config.levels[level];
  const int64_t below = config.levels[std::min(level + 1, config.levels.size() - 1)].channels;
  const int64_t above = config.levels[level == 0 ? 0 : level - 1].channels;
  TransformerOptions options = TransformerOptionsOf(config, own, height, width);
  for (int i = 0; i <= own.layers; ++i) {
    const int64_t skip = i == own.layers ? above : own.channels;
    const int64_t in = (i == 0 ? below : own.channels) + skip;
    block.resnets.push_back(
        ResnetBlock2D::Load(scope.Sub("resnets", i), in, own.channels, ResnetOptionsOf(config)));
    if (!own.up_attention) continue;
    options.layers = own.up_transformers[static_cast<size_t>(i)];
    block.attentions.push_back(
        Transformer2DModel::Load(scope.Sub("attentions", i), options, sites));
  }
  if (level > 0) block.upsampler = Upsample2D::Load(scope.Sub("upsamplers", 0), own.channels);
  return block;
}

Tensor UNetUpBlock::Forward(UNetPass& pass, int index, const Tensor& x,
                            const Tensor& buffer) const {
  TRACE_ZONE("unet.up_block");
  Context& ctx = pass.ctx;
  std::vector<Tensor>& skips = pass.skips;
  Tensor hidden = x;  // (n,h,w,c)
  for (size_t i = 0; i < resnets.size(); ++i) {
    if (ctx.Cancelled()) return hidden;
    const Tensor skip = skips.back();
    skips.pop_back();
    ArenaScope scope(ctx.arena);
    const Tensor both = ctx.New(WithChannels(hidden, hidden.shape[3] + skip.shape[3]));
    Concatenate(ctx, pass.live.Of(hidden), pass.live.Of(skip), pass.live.Of(both));
    const Transformer2DModel* attention = attentions.empty() ? nullptr : &attentions[i];
    const Shape shape = WithChannels(both, Channels());
    // After the last skip that the down block pooled.
    if (i + 2 != resnets.size() || pass.raunet.pool_up != index) {
      hidden = ViewOf(buffer, shape);
      ForwardPair(pass, resnets[i], attention, both, hidden);
      continue;
    }
    const Tensor pooled = ctx.New(shape);  // (n,h,w,c)
    ForwardPair(pass, resnets[i], attention, both, pooled);
    hidden = ViewOf(buffer, {shape[0], pass.pooled_height, pass.pooled_width, shape[3]});
    if (!ctx.Cancelled()) ops::ResizeBicubic(ctx, pass.live.Of(pooled), pass.live.Of(hidden));
  }
  if (!upsampler || ctx.Cancelled()) return hidden;
  const Shape& above = skips.back().shape;
  const Tensor out = ViewOf(buffer, {above[0], above[1], above[2], Channels()});
  upsampler->Forward(ctx, pass.live.Of(hidden), pass.live.Of(out));
  return out;
}

}  // namespace fovea
