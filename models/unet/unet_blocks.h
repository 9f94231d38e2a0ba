// The down, mid and up blocks of UNet2DConditionModel, with and without attention.
//
// CrossAttnDownBlock2D and DownBlock2D differ in whether `attentions` is empty; likewise the
// others.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "models/unet/resnet_block.h"
#include "models/unet/transformer.h"
#include "models/unet/unet_config.h"

namespace fovea {

struct UNetDownBlock {
  std::vector<ResnetBlock2D> resnets;
  std::vector<Transformer2DModel> attentions;
  std::optional<Downsample2D> downsampler;

  static UNetDownBlock Load(const WeightScope& scope, const UNetConfig& config, int level,
                            int height, int width, std::vector<AttentionSite>& sites);
  // pass.skips.back() (n,h,w,in) is the input; appends every resnet's and the downsampler's output,
  // new in the arena. `index` counts down blocks, for RAU-Net.
  void Forward(UNetPass& pass, int index) const;
};

struct UNetMidBlock {
  std::vector<ResnetBlock2D> resnets;
  std::vector<Transformer2DModel> attentions;

  static UNetMidBlock Load(const WeightScope& scope, const UNetConfig& config, int height,
                           int width, std::vector<AttentionSite>& sites);
  // x (n,h,w,c) -> out (n,h,w,c), not x
  void Forward(UNetPass& pass, const Tensor& x, const Tensor& out) const;
};

struct UNetUpBlock {
  std::vector<ResnetBlock2D> resnets;
  std::vector<Transformer2DModel> attentions;
  std::optional<Upsample2D> upsampler;

  // `index` counts up blocks in order of execution; sizes are those of its own level.
  static UNetUpBlock Load(const WeightScope& scope, const UNetConfig& config, int index, int height,
                          int width, std::vector<AttentionSite>& sites);
  int64_t Channels() const { return resnets.front().conv2.Out(); }
  // Consumes the last skips of the pass, one a resnet. The result lies at the beginning of
  // `buffer`, where x may lie too; an upsampler gives it the sides of the skip that is then last.
  // Returns the view. `index` counts up blocks, for RAU-Net.
  Tensor Forward(UNetPass& pass, int index, const Tensor& x, const Tensor& buffer) const;
};

}  // namespace fovea
