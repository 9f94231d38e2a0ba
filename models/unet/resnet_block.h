// ResnetBlock2D, Downsample2D and Upsample2D: the convolutional parts of the U-Net and the VAE.
//
// He et al., "Deep Residual Learning" (2016), with group norms and a time embedding in the middle.
// Names and numerics are those of diffusers.
#pragma once

#include <optional>

#include "models/layers.h"

namespace fovea {

struct ResnetOptions {
  int64_t temb_channels = 0;  // 0: no time embedding
  int groups = 32;
  double eps = 1e-5;
  Act act = Act::kSilu;
  bool scale_shift = false;  // the time embedding scales and shifts instead of being added
  double output_scale_factor = 1;
};

// out = (shortcut(x) + conv2(act(norm2(conv1(act(norm1(x))), temb)))) / output_scale_factor
struct ResnetBlock2D {
  GroupNorm norm1, norm2;
  Weight conv1, conv2;
  std::optional<Weight> time_emb_proj;   // (out, temb): added, or scales
  std::optional<Weight> time_emb_shift;  // (out, temb): the second half of "scale_shift"
  std::optional<Weight> conv_shortcut;   // 1x1, where the channels change
  std::optional<ChannelAffine> rescale;  // where output_scale_factor is not 1
  Act act = Act::kSilu;

  static ResnetBlock2D Load(const WeightScope& scope, int64_t in, int64_t out,
                            const ResnetOptions& options);
  // x (n,h,w,in), temb (n,temb), already activated, or empty -> out (n,h,w,out). `out` may begin at
  // x's own memory; x is then overwritten. Scratch: n*h*w*(in + out) elements at most; n*h*w*out
  // and a strip if `out` lies at x's memory and has at most half its channels.
  void Forward(Context& ctx, const Tensor& x, const Tensor& temb, const Tensor& out) const;
};

// A 3x3 convolution of stride 2. Padding 0 means one row and column of zeros at the end only.
struct Downsample2D {
  Weight conv;
  int padding = 1;

  static Downsample2D Load(const WeightScope& scope, int64_t channels, int padding);
  void Forward(Context& ctx, const Tensor& x, const Tensor& out) const;
  // As RAU-Net has it: stride 4, padding 2, dilation 2; a side becomes a quarter, rounded up.
  void ForwardDilated(Context& ctx, const Tensor& x, const Tensor& out) const;
};
// The side that Downsample2D makes of a side; 0 when it is too small.
int64_t DownsampledSide(int64_t side, int padding);

// Nearest-neighbour resizing to out's size, then a 3x3 convolution. `out` may begin at x's memory.
struct Upsample2D {
  Weight conv;

  static Upsample2D Load(const WeightScope& scope, int64_t channels);
  void Forward(Context& ctx, const Tensor& x, const Tensor& out) const;
};

// A square convolution of odd size and stride 1 that keeps the sides.
void SameConv2d(Context& ctx, const Tensor& x, const Weight& weight, const Tensor& out,
                const Epilogue& epilogue = {});

}  // namespace fovea
