#include "models/dit/sd3_transformer.h"

#include <array>

#include "models/dit/dit_layers.h"
#include "models/dit/patch_embed.h"
#include "models/dit/sd3_config.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/product/linear.h"
#include "tensor/trace.h"

namespace fovea {
namespace {

// What the pipeline gives it: 77 tokens of CLIP, then 256 of T5.
constexpr int kTextTokens = 333;

// The chunks of AdaLayerNormZero's modulations, and those that dual attention adds.
constexpr int64_t kShift = 0, kScale = 1, kGate = 2, kMlpShift = 3, kMlpScale = 4, kMlpGate = 5;
constexpr int64_t kShift2 = 6, kScale2 = 7, kGate2 = 8, kDualChunks = 9;
constexpr int64_t kZeroChunks = 6, kContinuousChunks = 2;

// JointTransformerBlock: image and text attend together, each with weights of its own.
struct JointBlock {
  Weight norm1_linear, norm1_context_linear;
  AttentionSite attn_site, attn2_site;
  AttentionStream image, text, image2;
  DitFeedForward ff, ff_context;
  bool dual = false;
  bool last = false;  // context_pre_only: the text ends here

  static JointBlock Load(const WeightScope& scope, const Sd3Config& config, int index,
                         std::vector<AttentionSite>& sites);
  // hidden (n,t,c) and context (n,s,c), updated in place.
  void Forward(DitPass& pass, const TokenLayout& grid, const Tensor& hidden,
               const Tensor& context) const;
};

JointBlock JointBlock::Load(const WeightScope& scope, const Sd3Config& config, int index,
                            std::vector<AttentionSite>& sites) {
  JointBlock block;
  const int64_t c = config.Channels();
  block.dual = config.dual[static_cast<size_t>(index)];
  block.last = index + 1 == config.layers;
  block.norm1_linear =
      scope.Sub("norm1").Linear("linear", c, (block.dual ? kDualChunks : kZeroChunks) * c);
  block.norm1_context_linear =
      scope.Sub("norm1_context")
          .Linear("linear", c, (block.last ? kContinuousChunks : kZeroChunks) * c);
  StreamOptions options{c, config.heads, config.head_dim, config.qk_norm};
  const int side = config.sample_size / config.patch;
  TokenLayout tokens = GridLayout(side, side);
  const auto site = [&](const char* name, SiteKind kind) {
    sites.push_back({scope.Sub(name).Path(), static_cast<int>(sites.size()), kind, config.heads,
                     static_cast<int>(config.head_dim), tokens});
    return sites.back();
  };
  const WeightScope attn = scope.Sub("attn");
  block.image = LoadStream(attn, kImageStream, options);
  if (block.dual) block.image2 = LoadStream(scope.Sub("attn2"), kImageStream, options);
  options.out = !block.last;
  block.text = LoadStream(attn, kTextStream, options);
  tokens.push_back({SegmentKind::kText, side * side, kTextTokens, {1, 1, 1}});
  block.attn_site = site("attn", SiteKind::kJoint);
  tokens.pop_back();
  if (block.dual) block.attn2_site = site("attn2", SiteKind::kSelf);
  block.ff = DitFeedForward::Load(scope.Sub("ff"), c);
  if (!block.last) block.ff_context = DitFeedForward::Load(scope.Sub("ff_context"), c);
  return block;
}

void JointBlock::Forward(DitPass& pass, const TokenLayout& grid, const Tensor& hidden,
                         const Tensor& context) const {
  Context& ctx = pass.ctx;
  ArenaScope scope(ctx.arena);
  const int64_t c = hidden.shape[2];
  const Tensor rows = Modulations(ctx, pass.temb, norm1_linear);
  const Tensor text_rows = Modulations(ctx, pass.temb, norm1_context_linear);
  const auto chunk = [c](const Tensor& all, int64_t i) { return Modulation(all, i, c); };
  const Tensor x = ctx.New(hidden.shape), y = ctx.New(context.shape);  // (n,t,c), (n,s,c)
  const Tensor x2 = dual ? ctx.New(hidden.shape) : Tensor{};
  AdaLayerNorm(ctx, hidden, chunk(rows, kShift), chunk(rows, kScale), x);
  if (dual) AdaLayerNorm(ctx, hidden, chunk(rows, kShift2), chunk(rows, kScale2), x2);
  // AdaLayerNormContinuous has the scale first.
  AdaLayerNorm(ctx, context, chunk(text_rows, last ? 1 : kShift),
               chunk(text_rows, last ? 0 : kScale), y);
  const std::array<StreamCall, 2> streams{{{&image, x, x}, {&text, y, last ? Tensor{} : y}}};
  AttendStreams(pass, attn_site, pass.tokens, streams);
  ops::GatedAdd(ctx, x, chunk(rows, kGate), hidden);
  if (ctx.Cancelled()) return;
  if (dual) {
    const std::array<StreamCall, 1> alone{{{&image2, x2, x2}}};
    AttendStreams(pass, attn2_site, grid, alone);
    ops::GatedAdd(ctx, x2, chunk(rows, kGate2), hidden);
  }
  AdaLayerNorm(ctx, hidden, chunk(rows, kMlpShift), chunk(rows, kMlpScale), x);
  ff.Forward(ctx, x, x);
  ops::GatedAdd(ctx, x, chunk(rows, kMlpGate), hidden);
  if (last) return;
  ops::GatedAdd(ctx, y, chunk(text_rows, kGate), context);
  AdaLayerNorm(ctx, context, chunk(text_rows, kMlpShift), chunk(text_rows, kMlpScale), y);
  ff_context.Forward(ctx, y, y);
  ops::GatedAdd(ctx, y, chunk(text_rows, kMlpGate), context);
}

}  // namespace

struct SD3Modules {
  Sd3Config config;
  PatchEmbed pos_embed;
  TextTimeEmbedding time_text_embed;
  Weight context_embedder;
  std::vector<JointBlock> transformer_blocks;
  Weight norm_out_linear, proj_out;
};

SD3Transformer2DModel::SD3Transformer2DModel() = default;
SD3Transformer2DModel::~SD3Transformer2DModel() = default;

std::unique_ptr<SD3Transformer2DModel> SD3Transformer2DModel::Load(
    const Config& config, std::shared_ptr<const WeightStore> weights) {
  std::unique_ptr<SD3Transformer2DModel> model(new SD3Transformer2DModel);
  model->modules_ = std::make_unique<SD3Modules>();
  SD3Modules& modules = *model->modules_;
  modules.config = ReadSd3Config(config);
  const Sd3Config& sd3 = modules.config;
  DenoiserTraits& traits = model->traits_;
  traits.class_name = "SD3Transformer2DModel";
  traits.in_channels = static_cast<int>(sd3.in_channels);
  traits.out_channels = static_cast<int>(sd3.out_channels);
  traits.sample_height = traits.sample_width = sd3.sample_size;
  traits.context_dim = static_cast<int>(sd3.context_dim);
  traits.patch = sd3.patch;
  traits.max_grid = sd3.max_grid;
  traits.text_tokens = kTextTokens;
  traits.pooled_dim = static_cast<int>(sd3.pooled_dim);

  const WeightScope root(*weights);
  const int64_t c = sd3.Channels();
  modules.pos_embed = PatchEmbed::Load(root.Sub("pos_embed"), sd3.in_channels, c, sd3.patch,
                                       sd3.sample_size, sd3.max_grid);
  modules.time_text_embed =
      TextTimeEmbedding::Load(root.Sub("time_text_embed"), sd3.pooled_dim, c, false);
  modules.context_embedder = root.Linear("context_embedder", sd3.context_dim, c);
  for (int i = 0; i < sd3.layers; ++i) {
    modules.transformer_blocks.push_back(
        JointBlock::Load(root.Sub("transformer_blocks", i), sd3, i, model->sites_));
  }
  modules.norm_out_linear = root.Sub("norm_out").Linear("linear", c, kContinuousChunks * c);
  modules.proj_out = root.Linear("proj_out", c, sd3.patch * sd3.patch * sd3.out_channels);
  weights->CheckAllRead();
  model->weights_ = std::move(weights);
  return model;
}

void SD3Transformer2DModel::Forward(Context& ctx, AttentionRuntime& attention,
                                    const DenoiserInput& input, const Tensor& out) const {
  TRACE_ZONE("sd3");
  const SD3Modules& modules = *modules_;
  const Sd3Config& config = modules.config;
  const Shape& in = input.latent.shape;  // (n,h,w,in)
  const int64_t n = in[0], c = config.Channels();
  ENSURE(in.rank == 4 && in[3] == config.in_channels && out.dtype == DType::kF32);
  ENSURE(input.context.shape.rank == 3 && input.context.shape[0] == n &&
         input.context.shape[2] == config.context_dim);
  ENSURE(input.text_embeds.shape == (Shape{n, config.pooled_dim}),
         input.text_embeds.shape.ToString());
  const int64_t h = modules.pos_embed.Tokens(in[1]), w = modules.pos_embed.Tokens(in[2]);
  const int64_t text = input.context.shape[1];

  ArenaScope scope(ctx.arena);
  const TokenLayout grid = GridLayout(static_cast<int>(h), static_cast<int>(w));
  DitPass pass{ctx, attention, ctx.New({n, c}), grid};
  pass.tokens.push_back(
      {SegmentKind::kText, static_cast<int>(h * w), static_cast<int>(text), {1, 1, 1}});
  modules.time_text_embed.Forward(ctx, input.timestep, {}, 1, input.text_embeds, pass.temb);
  const Tensor hidden = ctx.New({n, h * w, c}), context = ctx.New({n, text, c});
  {
    ArenaScope inner(ctx.arena);
    modules.pos_embed.Forward(ctx, AsActivations(ctx, input.latent), hidden);
    ops::Linear(ctx, AsActivations(ctx, input.context), modules.context_embedder, context);
  }
  LiveRows live(input.split, n);
  const Tensor temb = pass.temb;
  for (const JointBlock& block : modules.transformer_blocks) {
    if (ctx.Cancelled()) return;
    const int first = block.attn_site.index;
    live.PartAt(ctx, block.dual ? block.attn2_site.index : first, {hidden, context});
    pass.temb = live.OfBlock(first, temb);
    block.Forward(pass, grid, live.OfBlock(first, hidden), live.OfBlock(first, context));
  }
  pass.temb = temb;
  ENSURE(live.Count() == n);
  if (ctx.Cancelled()) return;
  const Tensor rows = Modulations(ctx, pass.temb, modules.norm_out_linear);
  AdaLayerNorm(ctx, hidden, Modulation(rows, 1, c), Modulation(rows, 0, c), hidden);
  const Tensor patches = ctx.New({n, h * w, modules.proj_out.Out()});  // (n,t,p*p*out)
  ops::Linear(ctx, hidden, modules.proj_out, patches);
  Unpatchify(ctx, patches, h, w, config.patch, out);
}

}  // namespace fovea
