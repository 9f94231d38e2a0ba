#include "models/dit/flux_transformer.h"

#include <algorithm>
#include <array>

#include "models/dit/dit_layers.h"
#include "models/dit/flux_config.h"
#include "models/dit/flux_positions.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/product/linear.h"
#include "tensor/trace.h"

namespace fovea {
namespace {

// What the pipeline gives it, and a picture of 1024 pixels a side, which its config does not tell.
constexpr int kTextTokens = 512, kSampleSize = 128, kPacking = 2;

enum Chunk { kShift, kScale, kGate, kMlpShift, kMlpScale, kMlpGate };
constexpr int64_t kZeroChunks = 6, kSingleChunks = 3;

TokenLayout JointTokens(int64_t text, int64_t h, int64_t w) {
  const int s = static_cast<int>(text), rows = static_cast<int>(h), columns = static_cast<int>(w);
  return {{SegmentKind::kText, 0, s, {1, 1, 1}},
          {SegmentKind::kGrid, s, rows * columns, {1, rows, columns}}};
}

AttentionSite MakeSite(const WeightScope& attention, const FluxConfig& config,
                       std::vector<AttentionSite>& sites) {
  constexpr int64_t side = kSampleSize / kPacking;
  sites.push_back({attention.Path(), static_cast<int>(sites.size()), SiteKind::kJoint, config.heads,
                   static_cast<int>(config.head_dim), JointTokens(kTextTokens, side, side)});
  return sites.back();
}

// FluxTransformerBlock: text and image with weights of their own.
struct DoubleBlock {
  Weight norm1_linear, norm1_context_linear;
  AttentionSite site;
  OperatorWeights own;
  AttentionStream image, text;
  DitFeedForward ff, ff_context;

  static DoubleBlock Load(const WeightScope& scope, const FluxConfig& config,
                          std::vector<AttentionSite>& sites);
  // text (n,s,c) and image (n,t,c), updated in place
  void Forward(DitPass& pass, const Tensor& text_states, const Tensor& image_states) const;
};

DoubleBlock DoubleBlock::Load(const WeightScope& scope, const FluxConfig& config,
                              std::vector<AttentionSite>& sites) {
  DoubleBlock block;
  const int64_t c = config.Channels();
  const StreamOptions options{c, config.heads, config.head_dim, true};
  const WeightScope attn = scope.Sub("attn");
  block.norm1_linear = scope.Sub("norm1").Linear("linear", c, kZeroChunks * c);
  block.norm1_context_linear = scope.Sub("norm1_context").Linear("linear", c, kZeroChunks * c);
  block.image = LoadStream(attn, kImageStream, options);
  block.text = LoadStream(attn, kTextStream, options);
  block.site = MakeSite(attn, config, sites);
  block.own = LoadOperatorWeights(attn);
  block.ff = DitFeedForward::Load(scope.Sub("ff"), c);
  block.ff_context = DitFeedForward::Load(scope.Sub("ff_context"), c);
  return block;
}

void DoubleBlock::Forward(DitPass& pass, const Tensor& text_states,
                          const Tensor& image_states) const {
  Context& ctx = pass.ctx;
  ArenaScope scope(ctx.arena);
  const int64_t c = image_states.shape[2];
  struct Side {
    const DitFeedForward& ff;
    Tensor states, rows, x;
  };
  const auto side = [&](const Weight& linear, const DitFeedForward& feed, const Tensor& states) {
    Side s{feed, states, Modulations(ctx, pass.temb, linear), ctx.New(states.shape)};
    AdaLayerNorm(ctx, states, Modulation(s.rows, kShift, c), Modulation(s.rows, kScale, c), s.x);
    return s;
  };
  const std::array<Side, 2> sides{side(norm1_context_linear, ff_context, text_states),
                                  side(norm1_linear, ff, image_states)};
  const std::array<StreamCall, 2> streams{
      {{&text, sides[0].x, sides[0].x}, {&image, sides[1].x, sides[1].x}}};
  AttendStreams(pass, site, pass.tokens, streams, {}, &own);
  for (const Side& s : sides) {
    if (ctx.Cancelled()) return;
    ops::GatedAdd(ctx, s.x, Modulation(s.rows, kGate, c), s.states);
    AdaLayerNorm(ctx, s.states, Modulation(s.rows, kMlpShift, c), Modulation(s.rows, kMlpScale, c),
                 s.x);
    s.ff.Forward(ctx, s.x, s.x);
    ops::GatedAdd(ctx, s.x, Modulation(s.rows, kMlpGate, c), s.states);
  }
}

// FluxSingleTransformerBlock: text and image as one stream, attention and MLP side by side.
struct SingleBlock {
  Weight norm_linear, proj_mlp, proj_out;
  AttentionSite site;
  OperatorWeights own;
  AttentionStream stream;

  static SingleBlock Load(const WeightScope& scope, const FluxConfig& config,
                          std::vector<AttentionSite>& sites);
  // states (n,t,c), updated in place
  void Forward(DitPass& pass, const Tensor& states) const;
};

SingleBlock SingleBlock::Load(const WeightScope& scope, const FluxConfig& config,
                              std::vector<AttentionSite>& sites) {
  SingleBlock block;
  const int64_t c = config.Channels();
  const WeightScope attn = scope.Sub("attn");
  block.norm_linear = scope.Sub("norm").Linear("linear", c, kSingleChunks * c);
  block.stream =
      LoadStream(attn, kImageStream, {c, config.heads, config.head_dim, true, true, false});
  block.site = MakeSite(attn, config, sites);
  block.own = LoadOperatorWeights(attn);
  block.proj_mlp = scope.Linear("proj_mlp", c, 4 * c);
  block.proj_out = scope.Linear("proj_out", 5 * c, c);
  return block;
}

void SingleBlock::Forward(DitPass& pass, const Tensor& states) const {
  Context& ctx = pass.ctx;
  ArenaScope scope(ctx.arena);
  const int64_t n = states.shape[0], t = states.shape[1], c = states.shape[2];
  const Tensor rows = Modulations(ctx, pass.temb, norm_linear);
  const Tensor x = ctx.New(states.shape);              // (n,t,c)
  const Tensor both = ctx.New({n, t, proj_out.In()});  // (n,t,c+4c): attention, then MLP
  AdaLayerNorm(ctx, states, Modulation(rows, kShift, c), Modulation(rows, kScale, c), x);
  const std::array<StreamCall, 1> streams{{{&stream, x, both.Slice(2, 0, c)}}};
  AttendStreams(pass, site, pass.tokens, streams, {}, &own);
  if (ctx.Cancelled()) return;
  ops::Linear(ctx, x, proj_mlp, both.Slice(2, c, proj_mlp.Out()), {.act = Act::kGeluTanh});
  ops::Linear(ctx, both, proj_out, x);
  ops::GatedAdd(ctx, x, Modulation(rows, kGate, c), states);
}

// Models were trained with operators' weights at every site, or at none.
void CheckOperatorWeights(const std::vector<DoubleBlock>& doubles,
                          const std::vector<SingleBlock>& singles) {
  std::string with, without;
  const auto look = [&](const AttentionSite& site, const OperatorWeights& own) {
    (own.empty() ? without : with) = site.path;
  };
  for (const DoubleBlock& block : doubles) look(block.site, block.own);
  for (const SingleBlock& block : singles) look(block.site, block.own);
  if (with.empty() || without.empty()) return;
  throw Error(ErrorCode::kBadFile, "tensor " + without +
                                       ".processor.spatial_weight is missing, which " + with +
                                       " has; CLEAR's pooling has one for every layer");
}

// The positions of all tokens, text first, and what operators may know of the image's.
std::vector<float> JointIds(const DenoiserInput& input, int64_t text, int64_t h, int64_t w,
                            TokenLayout& tokens) {
  std::vector<float> ids(input.txt_ids.begin(), input.txt_ids.end());
  if (ids.empty()) ids.assign(static_cast<size_t>(3 * text), 0);
  ENSURE(static_cast<int64_t>(ids.size()) == 3 * text, std::to_string(ids.size()));
  if (input.img_ids.empty()) {
    const std::vector<float> grid = FluxGridIds(h, w);
    ids.insert(ids.end(), grid.begin(), grid.end());
    return ids;
  }
  ENSURE(static_cast<int64_t>(input.img_ids.size()) == 3 * h * w);
  ids.insert(ids.end(), input.img_ids.begin(), input.img_ids.end());
  // Local operators then say that there is no grid.
  if (!IsFluxGrid(input.img_ids, h, w)) tokens.back().kind = SegmentKind::kRegister;
  return ids;
}

}  // namespace

struct FluxModules {
  FluxConfig config;
  TextTimeEmbedding time_text_embed;
  Weight context_embedder, x_embedder;
  std::vector<DoubleBlock> transformer_blocks;
  std::vector<SingleBlock> single_transformer_blocks;
  Weight norm_out_linear, proj_out;
};

FluxTransformer2DModel::FluxTransformer2DModel() = default;
FluxTransformer2DModel::~FluxTransformer2DModel() = default;

std::unique_ptr<FluxTransformer2DModel> FluxTransformer2DModel::Load(
    const Config& config, std::shared_ptr<const WeightStore> weights) {
  std::unique_ptr<FluxTransformer2DModel> model(new FluxTransformer2DModel);
  model->modules_ = std::make_unique<FluxModules>();
  FluxModules& modules = *model->modules_;
  modules.config = ReadFluxConfig(config);
  const FluxConfig& flux = modules.config;
  const int64_t out = flux.patch * flux.patch * flux.out_channels;
  DenoiserTraits& traits = model->traits_;
  traits.class_name = "FluxTransformer2DModel";
  traits.in_channels = static_cast<int>(flux.in_channels);
  traits.out_channels = static_cast<int>(out);
  traits.sample_height = traits.sample_width = kSampleSize;
  traits.context_dim = static_cast<int>(flux.context_dim);
  traits.patch = kPacking;
  traits.text_tokens = kTextTokens;
  traits.pooled_dim = static_cast<int>(flux.pooled_dim);
  traits.has_guidance = flux.guidance;
  traits.packed = true;
  traits.rotary = true;

  const WeightScope root(*weights);
  const int64_t c = flux.Channels();
  modules.time_text_embed =
      TextTimeEmbedding::Load(root.Sub("time_text_embed"), flux.pooled_dim, c, flux.guidance);
  modules.context_embedder = root.Linear("context_embedder", flux.context_dim, c);
  modules.x_embedder = root.Linear("x_embedder", flux.in_channels, c);
  for (int i = 0; i < flux.layers; ++i) {
    modules.transformer_blocks.push_back(
        DoubleBlock::Load(root.Sub("transformer_blocks", i), flux, model->sites_));
  }
  for (int i = 0; i < flux.single_layers; ++i) {
    modules.single_transformer_blocks.push_back(
        SingleBlock::Load(root.Sub("single_transformer_blocks", i), flux, model->sites_));
  }
  CheckOperatorWeights(modules.transformer_blocks, modules.single_transformer_blocks);
  modules.norm_out_linear = root.Sub("norm_out").Linear("linear", c, 2 * c);
  modules.proj_out = root.Linear("proj_out", c, out);
  weights->CheckAllRead();
  model->weights_ = std::move(weights);
  return model;
}

void FluxTransformer2DModel::Forward(Context& ctx, AttentionRuntime& attention,
                                     const DenoiserInput& input, const Tensor& out) const {
  TRACE_ZONE("flux");
  const FluxModules& modules = *modules_;
  const FluxConfig& config = modules.config;
  const Shape& in = input.latent.shape;  // (n,h,w,in)
  const int64_t n = in[0], h = in[1], w = in[2], c = config.Channels();
  ENSURE(in.rank == 4 && in[3] == config.in_channels && out.dtype == DType::kF32);
  ENSURE(input.context.shape.rank == 3 && input.context.shape[0] == n &&
         input.context.shape[2] == config.context_dim);
  ENSURE(input.text_embeds.shape == (Shape{n, config.pooled_dim}),
         input.text_embeds.shape.ToString());
  ENSURE(input.guidance.empty() != config.guidance);
  const int64_t text = input.context.shape[1], image = h * w;

  ArenaScope scope(ctx.arena);
  DitPass pass{ctx, attention, ctx.New({n, c}), JointTokens(text, h, w)};
  const std::vector<float> ids = JointIds(input, text, h, w, pass.tokens);
  pass.rotation = ctx.arena.New({text + image, 2, config.head_dim}, DType::kF32);  // (s+t,2,d)
  constexpr int64_t kPiece = 1024;  // the whole would be in memory twice
  for (int64_t first = 0; first < text + image; first += kPiece) {
    const int64_t count = std::min(kPiece, text + image - first);
    const auto some =
        std::span(ids).subspan(static_cast<size_t>(3 * first), static_cast<size_t>(3 * count));
    const HostTensor piece = FluxRotation(some, config.axes, input.ntk);
    ops::Copy(ctx, piece.View(), pass.rotation.Slice(0, first, count));
  }
  // Both are multiplied in f32, as the reference does.
  modules.time_text_embed.Forward(ctx, input.timestep, input.guidance, 1000, input.text_embeds,
                                  pass.temb);
  const Tensor states = ctx.New({n, text + image, c});  // (n,s+t,c): text, then image
  const Tensor text_states = states.Slice(1, 0, text), image_states = states.Slice(1, text, image);
  {
    ArenaScope inner(ctx.arena);
    const Tensor latent = AsActivations(ctx, input.latent).Reshape({n, image, in[3]});
    ops::Linear(ctx, latent, modules.x_embedder, image_states);
    ops::Linear(ctx, AsActivations(ctx, input.context), modules.context_embedder, text_states);
  }
  LiveRows live(input.split, n);
  const Tensor temb = pass.temb;
  for (const DoubleBlock& block : modules.transformer_blocks) {
    if (ctx.Cancelled()) return;
    const int site = block.site.index;
    live.PartAt(ctx, site, {states});
    pass.temb = live.OfBlock(site, temb);
    block.Forward(pass, live.OfBlock(site, text_states), live.OfBlock(site, image_states));
  }
  for (const SingleBlock& block : modules.single_transformer_blocks) {
    if (ctx.Cancelled()) return;
    live.PartAt(ctx, block.site.index, {states});
    pass.temb = live.OfBlock(block.site.index, temb);
    block.Forward(pass, live.OfBlock(block.site.index, states));
  }
  pass.temb = temb;
  ENSURE(live.Count() == n);
  if (ctx.Cancelled()) return;
  const Tensor rows = Modulations(ctx, pass.temb, modules.norm_out_linear);
  const Tensor x = ctx.New({n, image, c});  // (n,t,c)
  AdaLayerNorm(ctx, image_states, Modulation(rows, 1, c), Modulation(rows, 0, c), x);
  if (ctx.dtype == DType::kF32) {
    ops::Linear(ctx, x, modules.proj_out, out.Reshape({n, image, modules.proj_out.Out()}));
    return;
  }
  const Tensor rounded = ctx.New({n, image, modules.proj_out.Out()});  // (n,t,out)
  ops::Linear(ctx, x, modules.proj_out, rounded);
  ops::Copy(ctx, rounded, out.Reshape(rounded.shape));
}

}  // namespace fovea
