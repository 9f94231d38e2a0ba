#include "models/unet/unet.h"

#include <algorithm>

#include "models/layers.h"
#include "models/unet/unet_blocks.h"
#include "models/unet/unet_config.h"
#include "tensor/ops/activation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/trace.h"

namespace fovea {

struct UNetModules {
  UNetConfig config;
  std::optional<ChannelAffine> center;  // 2x - 1 on the input
  Weight conv_in;
  TimestepEmbedding time_embedding;
  std::optional<TimestepEmbedding> add_embedding;
  std::vector<UNetDownBlock> down_blocks;
  std::optional<UNetMidBlock> mid_block;
  std::vector<UNetUpBlock> up_blocks;
  GroupNorm conv_norm_out;
  Weight conv_out;
};

namespace {

struct Side {
  int64_t height = 0, width = 0;
};

// The size of every level for a latent of this size.
std::vector<Side> LevelSides(const UNetConfig& config, int64_t height, int64_t width) {
  std::vector<Side> sides{{height, width}};
  while (sides.size() < config.levels.size()) {
    const Side& above = sides.back();
    sides.push_back({DownsampledSide(above.height, config.downsample_padding),
                     DownsampledSide(above.width, config.downsample_padding)});
  }
  return sides;
}

// The sides after the upsampler of the level below `level`. As in diffusers: doubled, unless the
// latent is not a multiple of all doublings together, when every size follows its skip.
Side UpsampledSide(const std::vector<Side>& sides, size_t level) {
  const int64_t factor = int64_t{1} << (sides.size() - 1);
  const bool follow = sides[0].height % factor != 0 || sides[0].width % factor != 0;
  const Side& below = sides[level + 1];
  return follow ? sides[level] : Side{2 * below.height, 2 * below.width};
}

void CheckSides(const UNetConfig& config, const std::vector<Side>& sides) {
  const std::string size = std::to_string(sides[0].height) + "x" + std::to_string(sides[0].width);
  for (size_t level = 0; level < sides.size(); ++level) {
    if (sides[level].height < 1 || sides[level].width < 1) {
      throw Error(ErrorCode::kUsage, "a latent of " + size + " is too small for this U-Net of " +
                                         std::to_string(config.levels.size()) + " levels");
    }
    if (level + 1 == sides.size()) break;
    const Side up = UpsampledSide(sides, level);
    if (up.height != sides[level].height || up.width != sides[level].width) {
      throw Error(ErrorCode::kUsage, "a latent of " + size +
                                         " does not fit this U-Net, whose downsample_padding is " +
                                         std::to_string(config.downsample_padding));
    }
  }
}

TimestepEmbedding LoadTimeEmbedding(const WeightScope& root, const UNetConfig& config) {
  const WeightScope scope = root.Sub("time_embedding");
  const int64_t in = config.levels.front().channels, dim = config.time_embedding_dim;
  TimestepEmbedding embedding;
  embedding.linear_1 = scope.Linear("linear_1", in, dim);
  embedding.linear_2 = scope.Linear("linear_2", dim, dim);
  embedding.act = config.act;
  embedding.post_act = config.timestep_post_act;
  if (config.time_cond_proj_dim > 0) {
    embedding.cond_proj = scope.Linear("cond_proj", config.time_cond_proj_dim, in, false);
  }
  return embedding;
}

// add_embedding(text_embeds, sinusoids of time_ids), one row a sample: (n, time_embedding_dim).
void EmbedAddition(Context& ctx, const UNetModules& modules, const DenoiserInput& input,
                   const Tensor& out) {
  ArenaScope scope(ctx.arena);
  const UNetConfig& config = modules.config;
  const Tensor& text = input.text_embeds;
  const int64_t n = out.shape[0], times = static_cast<int64_t>(input.time_ids.size());
  const int64_t per_sample = times / n * config.addition_time_dim;
  ENSURE(text.shape.rank == 2 && text.shape[0] == n && times % n == 0 &&
             text.shape[1] + per_sample == config.addition_dim,
         text.shape.ToString() + " and " + std::to_string(times) + " time_ids");
  std::vector<float> values(static_cast<size_t>(times * config.addition_time_dim));
  SinusoidalEmbedding(input.time_ids, config.addition_time_dim, config.flip_sin_to_cos,
                      config.freq_shift, values);
  const Tensor both = ctx.New({n, config.addition_dim});  // (n, text + times)
  ops::Copy(ctx, text, both.Slice(1, 0, text.shape[1]));
  ops::Copy(ctx, Tensor::Contiguous(values.data(), {n, per_sample}, DType::kF32),
            both.Slice(1, text.shape[1], per_sample));
  modules.add_embedding->Forward(ctx, both, {}, out);
}

// The activated time embedding, one row a sample: (n, time_embedding_dim).
void EmbedTime(Context& ctx, const UNetModules& modules, const DenoiserInput& input,
               const Tensor& temb) {
  ArenaScope scope(ctx.arena);
  const UNetConfig& config = modules.config;
  const int64_t n = temb.shape[0], dim = config.levels.front().channels;
  std::vector<float> timesteps(input.timestep.begin(), input.timestep.end());
  timesteps.resize(static_cast<size_t>(n), timesteps.front());
  std::vector<float> values(static_cast<size_t>(n * dim));
  SinusoidalEmbedding(timesteps, dim, config.flip_sin_to_cos, config.freq_shift, values);
  const Tensor sines = ctx.New({n, dim});  // (n, c0)
  ops::Copy(ctx, Tensor::Contiguous(values.data(), sines.shape, DType::kF32), sines);
  const Tensor condition =
      input.timestep_cond.Empty() ? Tensor{} : AsActivations(ctx, input.timestep_cond);
  modules.time_embedding.Forward(ctx, sines, condition, temb);
  if (modules.add_embedding) {
    const Tensor addition = ctx.New(temb.shape);
    EmbedAddition(ctx, modules, input, addition);
    ops::Add(ctx, temb, addition, temb);
  }
  if (config.time_embedding_act != Act::kNone) {
    ops::Activate(ctx, temb, config.time_embedding_act, temb);
  }
  ops::Activate(ctx, temb, config.act, temb);
}

// The largest result of the mid and up parts, in elements.
int64_t LargestUpResult(const UNetConfig& config, const std::vector<Side>& sides, int64_t n) {
  int64_t largest = 0;
  for (size_t level = 0; level < sides.size(); ++level) {
    // A level's own channels reach the size above it through its upsampler.
    const Side& side = sides[level == 0 ? 0 : level - 1];
    largest = std::max(largest, n * side.height * side.width * config.levels[level].channels);
  }
  return largest;
}

}  // namespace

UNet2DConditionModel::UNet2DConditionModel() = default;
UNet2DConditionModel::~UNet2DConditionModel() = default;

std::unique_ptr<UNet2DConditionModel> UNet2DConditionModel::Load(
    const Config& config, std::shared_ptr<const WeightStore> weights) {
  std::unique_ptr<UNet2DConditionModel> model(new UNet2DConditionModel);
  model->modules_ = std::make_unique<UNetModules>();
  UNetModules& modules = *model->modules_;
  modules.config = ReadUNetConfig(config);
  const UNetConfig& unet = modules.config;
  model->traits_ = {"UNet2DConditionModel",
                    static_cast<int>(unet.in_channels),
                    static_cast<int>(unet.out_channels),
                    unet.sample_height,
                    unet.sample_width,
                    static_cast<int>(unet.cross_attention_dim),
                    static_cast<int>(unet.time_cond_proj_dim),
                    static_cast<int>(unet.addition_dim),
                    static_cast<int>(unet.addition_time_dim),
                    FitRaunet(unet)};

  const WeightScope root(*weights);
  const int levels = static_cast<int>(unet.levels.size());
  const int64_t first = unet.levels.front().channels;
  const std::vector<Side> sides = LevelSides(unet, unet.sample_height, unet.sample_width);
  const auto side = [&sides](int level) {
    const Side& s = sides[static_cast<size_t>(level)];
    return std::pair{static_cast<int>(s.height), static_cast<int>(s.width)};
  };
  if (unet.center_input_sample) modules.center.emplace(unet.in_channels, 2, -1);
  modules.conv_in = root.Conv2d("conv_in", unet.in_channels, first, unet.conv_in_kernel);
  modules.time_embedding = LoadTimeEmbedding(root, unet);
  if (unet.addition_dim > 0) {
    const WeightScope scope = root.Sub("add_embedding");
    modules.add_embedding.emplace();
    modules.add_embedding->linear_1 =
        scope.Linear("linear_1", unet.addition_dim, unet.time_embedding_dim);
    modules.add_embedding->linear_2 =
        scope.Linear("linear_2", unet.time_embedding_dim, unet.time_embedding_dim);
  }
  for (int i = 0; i < levels; ++i) {
    const auto [height, width] = side(i);
    modules.down_blocks.push_back(
        UNetDownBlock::Load(root.Sub("down_blocks", i), unet, i, height, width, model->sites_));
  }
  if (unet.mid_block) {
    const auto [height, width] = side(levels - 1);
    modules.mid_block =
        UNetMidBlock::Load(root.Sub("mid_block"), unet, height, width, model->sites_);
  }
  for (int i = 0; i < levels; ++i) {
    const auto [height, width] = side(levels - 1 - i);
    modules.up_blocks.push_back(
        UNetUpBlock::Load(root.Sub("up_blocks", i), unet, i, height, width, model->sites_));
  }
  modules.conv_norm_out =
      GroupNorm::Load(root, "conv_norm_out", first, unet.norm_num_groups, unet.norm_eps);
  modules.conv_out = root.Conv2d("conv_out", first, unet.out_channels, unet.conv_out_kernel);
  weights->CheckAllRead();
  model->weights_ = std::move(weights);
  return model;
}

void UNet2DConditionModel::Forward(Context& ctx, AttentionRuntime& attention,
                                   const DenoiserInput& input, const Tensor& out) const {
  TRACE_ZONE("unet");
  const UNetModules& modules = *modules_;
  const UNetConfig& config = modules.config;
  const Shape& in = input.latent.shape;  // (n,h,w,c)
  const int64_t n = in[0];
  ENSURE(in.rank == 4 && in[3] == config.in_channels && out.dtype == DType::kF32);
  ENSURE(input.timestep.size() == 1 || static_cast<int64_t>(input.timestep.size()) == n);
  ENSURE(input.context.shape.rank == 3 && input.context.shape[0] == n &&
         input.context.shape[2] == config.cross_attention_dim);
  ENSURE(!input.raunet.Active() || traits_.raunet.schedule, "RAU-Net: " + traits_.raunet.reason);
  const std::vector<Side> sides = LevelSides(config, in[1], in[2]);
  CheckSides(config, sides);

  ArenaScope scope(ctx.arena);
  UNetPass pass{ctx,
                attention,
                ctx.New({n, config.time_embedding_dim}),
                AsActivations(ctx, input.context),
                LiveRows(input.split, n),
                {},
                input.raunet};
  EmbedTime(ctx, modules, input, pass.temb);
  // The mid and up results take turns here, below the skips, which are a stack of their own.
  // RAU-Net only makes maps smaller.
  const Tensor buffer = ctx.New({LargestUpResult(config, sides, n)});

  pass.skips.push_back(ctx.New({n, in[1], in[2], modules.conv_in.Out()}));  // (n,h,w,c0)
  {
    ArenaScope inner(ctx.arena);
    Tensor latent = AsActivations(ctx, pass.live.Of(input.latent));  // (n,h,w,in)
    if (modules.center) {
      const Tensor centered = ctx.New(latent.shape);
      modules.center->Forward(ctx, latent, centered);
      latent = centered;
    }
    SameConv2d(ctx, latent, modules.conv_in, pass.live.Of(pass.skips.back()));
  }
  for (size_t i = 0; i < modules.down_blocks.size(); ++i) {
    modules.down_blocks[i].Forward(pass, static_cast<int>(i));
  }
  if (ctx.Cancelled()) return;
  Tensor hidden = pass.skips.back();  // (n,h,w,c)
  if (modules.mid_block) {
    hidden = ViewOf(buffer, hidden.shape);
    modules.mid_block->Forward(pass, pass.skips.back(), hidden);
  }
  for (size_t i = 0; i < modules.up_blocks.size(); ++i) {
    if (ctx.Cancelled()) return;
    hidden = modules.up_blocks[i].Forward(pass, static_cast<int>(i), hidden, buffer);
  }
  if (ctx.Cancelled()) return;
  ENSURE(pass.live.Count() == n);
  modules.conv_norm_out.Forward(ctx, hidden, hidden, config.act);
  if (ctx.dtype == DType::kF32) {
    SameConv2d(ctx, hidden, modules.conv_out, out);
    return;
  }
  const Tensor rounded = ctx.New(out.shape);  // (n,h,w,out)
  SameConv2d(ctx, hidden, modules.conv_out, rounded);
  ops::Copy(ctx, rounded, out);
}

}  // namespace fovea
