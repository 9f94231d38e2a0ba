#include "models/unet/transformer.h"

#include "tensor/ops/activation.h"
#include "tensor/ops/product/linear.h"
#include "tensor/trace.h"

namespace fovea {
namespace {

constexpr double kGroupNormEps = 1e-6, kLayerNormEps = 1e-5;

// Rows of x through a weight, as (n,t,heads,d).
Tensor ProjectHeads(Context& ctx, const Tensor& x, const Weight& weight,
                    const AttentionSite& site) {
  const int64_t n = x.shape[0], t = x.shape[1];
  const Tensor y = ctx.New({n, t, weight.Out()});  // (n,t,heads*d)
  ops::Linear(ctx, x, weight, y);
  return y.Reshape({n, t, site.heads, site.head_dim});
}

}  // namespace

CrossAttention CrossAttention::Load(const WeightScope& scope, SiteKind kind,
                                    const TransformerOptions& options,
                                    std::vector<AttentionSite>& sites) {
  CrossAttention attention;
  const int64_t inner = options.heads * options.head_dim;
  const int64_t source = kind == SiteKind::kCross ? options.context_dim : inner;
  attention.to_q = scope.Linear("to_q", inner, inner, false);
  attention.to_k = scope.Linear("to_k", source, inner, false);
  attention.to_v = scope.Linear("to_v", source, inner, false);
  attention.to_out = scope.Linear("to_out.0", inner, inner);
  attention.site = {
      scope.Path(),  static_cast<int>(sites.size()),     kind,
      options.heads, static_cast<int>(options.head_dim), GridLayout(options.height, options.width)};
  sites.push_back(attention.site);
  return attention;
}

void CrossAttention::AddTo(UNetPass& pass, const Tensor& normed, const TokenLayout& grid,
                           const Tensor& hidden) const {
  Context& ctx = pass.ctx;
  ArenaScope scope(ctx.arena);
  const bool crosses = site.kind == SiteKind::kCross;
  const Tensor source = crosses ? pass.context.Slice(0, 0, normed.shape[0]) : normed;  // (n,kv,c)
  AttentionIo io;
  io.out = ctx.New({normed.shape[0], normed.shape[1], site.heads, site.head_dim});  // (n,t,heads,d)
  {
    ArenaScope inner(ctx.arena);
    io.q = ProjectHeads(ctx, normed, to_q, site);
    io.k = ProjectHeads(ctx, source, to_k, site);
    io.v = ProjectHeads(ctx, source, to_v, site);
    if (!crosses) io.hidden = hidden;
    AttentionSpec spec;
    spec.batch = static_cast<int>(normed.shape[0]);
    spec.heads = site.heads;
    spec.head_dim = site.head_dim;
    spec.q = grid;
    spec.kv = crosses ? TextLayout(static_cast<int>(source.shape[1])) : grid;
    spec.dtype = ctx.dtype;
    spec.device = ctx.backend.Kind();
    pass.attention.Attend(ctx, site, spec, io);
  }
  ops::Linear(ctx, io.out.Reshape(hidden.shape), to_out, hidden, {.residual = &hidden});
}

FeedForward FeedForward::Load(const WeightScope& scope, int64_t channels) {
  return {scope.Linear("net.0.proj", channels, 8 * channels),
          scope.Linear("net.2", 4 * channels, channels)};
}

void FeedForward::AddTo(Context& ctx, const Tensor& normed, const Tensor& hidden) const {
  ArenaScope scope(ctx.arena);
  const int64_t n = normed.shape[0], t = normed.shape[1];
  const Tensor gated = ctx.New({n, t, net_2.In()});  // (n,t,4c)
  {
    ArenaScope inner(ctx.arena);
    const Tensor both = ctx.New({n, t, net_0_proj.Out()});  // (n,t,8c)
    ops::Linear(ctx, normed, net_0_proj, both);
    ops::GatedAct(ctx, both, Act::kGeluErf, gated);
  }
  ops::Linear(ctx, gated, net_2, hidden, {.residual = &hidden});
}

BasicTransformerBlock BasicTransformerBlock::Load(const WeightScope& scope,
                                                  const TransformerOptions& options,
                                                  std::vector<AttentionSite>& sites) {
  BasicTransformerBlock block;
  const int64_t inner = options.heads * options.head_dim;
  const SiteKind first = options.only_cross_attention ? SiteKind::kCross : SiteKind::kSelf;
  block.norm1 = LayerNorm::Load(scope, "norm1", inner, kLayerNormEps);
  block.attn1 = CrossAttention::Load(scope.Sub("attn1"), first, options, sites);
  block.norm2 = LayerNorm::Load(scope, "norm2", inner, kLayerNormEps);
  block.attn2 = CrossAttention::Load(scope.Sub("attn2"), SiteKind::kCross, options, sites);
  block.norm3 = LayerNorm::Load(scope, "norm3", inner, kLayerNormEps);
  block.ff = FeedForward::Load(scope.Sub("ff"), inner);
  return block;
}

void BasicTransformerBlock::Forward(UNetPass& pass, const TokenLayout& grid,
                                    const Tensor& hidden) const {
  ArenaScope scope(pass.ctx.arena);
  const Tensor normed = pass.ctx.New(hidden.shape);  // (n,t,inner)
  norm1.Forward(pass.ctx, hidden, normed);
  attn1.AddTo(pass, normed, grid, hidden);
  if (pass.ctx.Cancelled()) return;
  norm2.Forward(pass.ctx, hidden, normed);
  attn2.AddTo(pass, normed, grid, hidden);
  if (pass.ctx.Cancelled()) return;
  norm3.Forward(pass.ctx, hidden, normed);
  ff.AddTo(pass.ctx, normed, hidden);
}

Transformer2DModel Transformer2DModel::Load(const WeightScope& scope,
                                            const TransformerOptions& options,
                                            std::vector<AttentionSite>& sites) {
  Transformer2DModel model;
  const int64_t c = options.channels, inner = options.heads * options.head_dim;
  model.norm = GroupNorm::Load(scope, "norm", c, options.groups, kGroupNormEps);
  model.proj_in = scope.Linear("proj_in", c, inner);
  const WeightScope blocks = scope.Sub("transformer_blocks");
  for (int i = 0; i < options.layers; ++i) {
    model.transformer_blocks.push_back(
        BasicTransformerBlock::Load(blocks.Sub(std::to_string(i)), options, sites));
  }
  model.proj_out = scope.Linear("proj_out", inner, c);
  return model;
}

void Transformer2DModel::Forward(UNetPass& pass, const Tensor& x, const Tensor& out) const {
  TRACE_ZONE("transformer");
  Context& ctx = pass.ctx;
  ArenaScope scope(ctx.arena);
  const int64_t n = x.shape[0], t = x.shape[1] * x.shape[2];
  const Tensor hidden = ctx.New({n, t, proj_in.Out()});  // (n,t,inner)
  {
    ArenaScope inner(ctx.arena);
    const Tensor normed = ctx.New({pass.live.Count(), t, x.shape[3]});  // (n,t,c)
    norm.Forward(ctx, pass.live.Of(x).Reshape(normed.shape), normed);
    ops::Linear(ctx, normed, proj_in, pass.live.Of(hidden));
  }
  const TokenLayout grid = GridLayout(static_cast<int>(x.shape[1]), static_cast<int>(x.shape[2]));
  for (const BasicTransformerBlock& block : transformer_blocks) {
    if (ctx.Cancelled()) return;
    if (pass.live.PartsBefore(block.attn2.site.index)) {
      for (const Tensor& skip : pass.skips) {
        if (skip.data != out.data) pass.live.Repeat(ctx, skip);
      }
      pass.live.PartAt(ctx, block.attn2.site.index, {x, hidden});
    }
    block.Forward(pass, grid, pass.live.OfBlock(block.attn1.site.index, hidden));
  }
  const Tensor residual = pass.live.Of(x).Reshape({pass.live.Count(), t, x.shape[3]});
  ops::Linear(ctx, pass.live.Of(hidden), proj_out, pass.live.Of(out).Reshape(residual.shape),
              {.residual = &residual});
}

}  // namespace fovea
