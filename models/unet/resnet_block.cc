#include "models/unet/resnet_block.h"

#include <algorithm>

#include "tensor/ops/conv/conv2d.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/norm/group_norm.h"
#include "tensor/ops/product/linear.h"
#include "tensor/ops/resample/upsample.h"

namespace fovea {
namespace {

// Rows that are made at a time where a whole feature map would need memory of its own: equal parts
// of at most 32, a multiple of 4, so that tiles of Winograd's algorithm are those of the whole.
int64_t StripRows(int64_t height) {
  const int64_t strips = (height + 31) / 32;
  return (height + 4 * strips - 1) / (4 * strips) * 4;
}

// Maps below are not cut: there is little to save.
constexpr int64_t kCutElements = int64_t{4} << 20;

// Rows [begin, begin + count) of a 3x3 convolution that keeps the sides; `x` holds the map's rows
// from `first` on.
void ConvolveRows(Context& ctx, const Tensor& x, int64_t first, const Weight& weight,
                  int64_t height, int64_t begin, int64_t count, const Tensor& out) {
  const int64_t top = std::max<int64_t>(begin - 1, 0), bottom = std::min(begin + count + 1, height);
  const Conv2dParams params{.stride = 1,
                            .pad_top = begin == 0 ? 1 : 0,
                            .pad_left = 1,
                            .pad_bottom = bottom == begin + count ? 1 : 0,
                            .pad_right = 1};
  ops::Conv2d(ctx, x.Slice(1, top - first, bottom - top), weight, params, out);
}

// x (n,h,w,in) -> (n,h,w,out) at x's own memory, `out` at most half of `in`: the rows of a strip's
// result end above the last row of x that the next strip reads.
Tensor ShrinkInPlace(Context& ctx, const Tensor& x, const Weight& weight) {
  const int64_t height = x.shape[1], width = x.shape[2];
  const int64_t rows = StripRows(height);
  const Tensor out = ViewOf(x, {x.shape[0], height, width, weight.Out()});
  for (int64_t i = 0; i < x.shape[0]; ++i) {
    for (int64_t begin = 0; begin < height; begin += rows) {
      ArenaScope scope(ctx.arena);
      const int64_t count = std::min(rows, height - begin);
      const Tensor strip = ctx.New({1, count, width, weight.Out()});
      ConvolveRows(ctx, x.Slice(0, i, 1), 0, weight, height, begin, count, strip);
      ops::Copy(ctx, strip, out.Slice(0, i, 1).Slice(1, begin, count));
    }
  }
  return out;
}

// Twice the sides, then a 3x3 convolution. `out` may begin at x's own memory: from the last sample
// and row to the first, results are written behind all that is still to be read.
void UpsampleInStrips(Context& ctx, const Tensor& x, const Weight& weight, const Tensor& out) {
  const int64_t height = out.shape[1], strip = StripRows(height);
  for (int64_t i = x.shape[0] - 1; i >= 0; --i) {
    for (int64_t begin = (height - 1) / strip * strip; begin >= 0; begin -= strip) {
      ArenaScope scope(ctx.arena);
      const int64_t count = std::min(strip, height - begin);
      const int64_t first = std::max<int64_t>(begin / 2 - 1, 0);
      const int64_t rows = std::min((begin + count) / 2 + 1, x.shape[1]) - first;
      const Tensor resized = ctx.New({1, 2 * rows, out.shape[2], x.shape[3]});
      ops::UpsampleNearest(ctx, x.Slice(0, i, 1).Slice(1, first, rows), resized);
      ConvolveRows(ctx, resized, 2 * first, weight, height, begin, count,
                   out.Slice(0, i, 1).Slice(1, begin, count));
    }
  }
}

}  // namespace

void SameConv2d(Context& ctx, const Tensor& x, const Weight& weight, const Tensor& out,
                const Epilogue& epilogue) {
  const int pad = static_cast<int>((weight.w.shape[2] - 1) / 2);
  const Conv2dParams params{
      .stride = 1, .pad_top = pad, .pad_left = pad, .pad_bottom = pad, .pad_right = pad};
  ops::Conv2d(ctx, x, weight, params, out, epilogue);
}

ResnetBlock2D ResnetBlock2D::Load(const WeightScope& scope, int64_t in, int64_t out,
                                  const ResnetOptions& options) {
  ResnetBlock2D block;
  block.act = options.act;
  block.norm1 = GroupNorm::Load(scope, "norm1", in, options.groups, options.eps);
  block.conv1 = scope.Conv2d("conv1", in, out, 3);
  if (options.temb_channels > 0 && options.scale_shift) {
    const Weight both = scope.Linear("time_emb_proj", options.temb_channels, 2 * out);
    block.time_emb_proj.emplace();
    block.time_emb_proj->w = both.w.Slice(0, 0, out);
    block.time_emb_proj->bias = both.bias.Slice(0, 0, out);
    block.time_emb_proj->delta = both.delta;
    block.time_emb_shift.emplace();
    block.time_emb_shift->w = both.w.Slice(0, out, out);
    block.time_emb_shift->bias = both.bias.Slice(0, out, out);
    block.time_emb_shift->delta = both.delta;
    block.time_emb_shift->delta_row = out;
  } else if (options.temb_channels > 0) {
    block.time_emb_proj = scope.Linear("time_emb_proj", options.temb_channels, out);
  }
  block.norm2 = GroupNorm::Load(scope, "norm2", out, options.groups, options.eps);
  block.conv2 = scope.Conv2d("conv2", out, out, 3);
  if (in != out) block.conv_shortcut = scope.Linear("conv_shortcut", in, out);
  if (options.output_scale_factor != 1) {
    block.rescale.emplace(out, 1 / options.output_scale_factor, 0);
  }
  return block;
}

void ResnetBlock2D::Forward(Context& ctx, const Tensor& x, const Tensor& temb,
                            const Tensor& out) const {
  ArenaScope scope(ctx.arena);
  const bool in_place = x.data == out.data;
  const int64_t n = x.shape[0];
  Tensor residual = x;  // (n,h,w,out)
  if (conv_shortcut) {
    residual = in_place ? ctx.New(out.shape) : out;
    ops::Linear(ctx, x, *conv_shortcut, residual);
  }

  // With a shortcut, x is not needed again: it may be normalised, and shrink, where it lies.
  const bool shrink = in_place && conv_shortcut && 2 * conv1.Out() <= conv1.In();
  Tensor hidden;  // (n,h,w,out)
  if (shrink) {
    norm1.Forward(ctx, x, x, act);
    hidden = ShrinkInPlace(ctx, x, conv1);
  } else {
    hidden = ctx.New(out.shape);
    ArenaScope inner(ctx.arena);
    const Tensor normed = in_place && conv_shortcut ? x : ctx.New(x.shape);  // (n,h,w,in)
    norm1.Forward(ctx, x, normed, act);
    SameConv2d(ctx, normed, conv1, hidden);
  }

  GroupNormParams params = norm2.Params(act);
  if (time_emb_proj) {
    const Tensor projected = ctx.New({n, time_emb_proj->Out()});  // (n,out)
    ops::Linear(ctx, temb, *time_emb_proj, projected);
    if (time_emb_shift) {
      params.scale = projected;
      params.shift = ctx.New({n, time_emb_shift->Out()});  // (n,out)
      ops::Linear(ctx, temb, *time_emb_shift, params.shift);
    } else {
      params.add = projected;
    }
  }
  ops::GroupNorm(ctx, hidden, params, hidden);

  if (shrink) {
    SameConv2d(ctx, hidden, conv2, residual, {.residual = &residual});
    if (rescale) {
      rescale->Forward(ctx, residual, out);
    } else {
      ops::Copy(ctx, residual, out);
    }
    return;
  }
  if (!rescale) {
    SameConv2d(ctx, hidden, conv2, out, {.residual = &residual});
    return;
  }
  const Tensor sum = ctx.New(out.shape);  // (n,h,w,out)
  SameConv2d(ctx, hidden, conv2, sum, {.residual = &residual});
  rescale->Forward(ctx, sum, out);
}

Downsample2D Downsample2D::Load(const WeightScope& scope, int64_t channels, int padding) {
  return {scope.Conv2d("conv", channels, channels, 3), padding};
}

void Downsample2D::Forward(Context& ctx, const Tensor& x, const Tensor& out) const {
  const int begin = padding, end = padding == 0 ? 1 : padding;
  const Conv2dParams params{
      .stride = 2, .pad_top = begin, .pad_left = begin, .pad_bottom = end, .pad_right = end};
  ops::Conv2d(ctx, x, conv, params, out);
}

void Downsample2D::ForwardDilated(Context& ctx, const Tensor& x, const Tensor& out) const {
  const Conv2dParams params{
      .stride = 4, .pad_top = 2, .pad_left = 2, .pad_bottom = 2, .pad_right = 2, .dilation = 2};
  ops::Conv2d(ctx, x, conv, params, out);
}

int64_t DownsampledSide(int64_t side, int padding) {
  const int64_t padded = side + (padding == 0 ? 1 : 2 * padding);
  return padded < 3 ? 0 : (padded - 3) / 2 + 1;
}

Upsample2D Upsample2D::Load(const WeightScope& scope, int64_t channels) {
  return {scope.Conv2d("conv", channels, channels, 3)};
}

void Upsample2D::Forward(Context& ctx, const Tensor& x, const Tensor& out) const {
  if (out.shape[1] == 2 * x.shape[1] && out.shape[2] == 2 * x.shape[2] &&
      out.NumElements() >= kCutElements) {
    UpsampleInStrips(ctx, x, conv, out);
    return;
  }
  ArenaScope scope(ctx.arena);
  const Tensor resized = ctx.New(out.shape);  // (n,h,w,c)
  ops::UpsampleNearest(ctx, x, resized);
  SameConv2d(ctx, resized, conv, out);
}

}  // namespace fovea
