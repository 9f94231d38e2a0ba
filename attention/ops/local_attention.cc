#include "attention/ops/local_attention.h"

#include <cmath>

#include "attention/kernels/tile_attention.h"
#include "attention/ops/softmax_matrix.h"

namespace fovea {

std::optional<std::array<int, 3>> GridOf(const TokenLayout& layout) {
  for (const Segment& segment : layout) {
    if (segment.kind == SegmentKind::kGrid) return segment.grid;
  }
  return std::nullopt;
}

Support SupportsLocal(std::string_view op, const AttentionSpec& spec) {
  const std::string name(op);
  if (!SameLayout(spec.q, spec.kv)) {
    return {false, name + " needs queries and keys of one sequence; this is cross-attention"};
  }
  if (!GridOf(spec.q)) return {false, name + " needs a grid of tokens; these have none"};
  if (spec.causal) return {false, name + " does not serve causal attention"};
  if (spec.dtype != DType::kF32 && spec.dtype != DType::kBF16) {
    return {false, name + " computes in f32 or bf16, not " + std::string(Name(spec.dtype))};
  }
  return {};
}

float ScoreScale(const AttentionSpec& spec) {
  return spec.scale > 0 ? spec.scale : 1 / std::sqrt(static_cast<float>(spec.head_dim));
}

Support LocalAttention::Supports(const AttentionSpec& spec, const OpParams& params) const {
  const OpArgs args(name_, args_, params);
  const Support support = SupportsLocal(name_, spec);
  if (!support.ok) return support;
  const auto grid = *GridOf(spec.q);
  make_(grid, args);  // throws for values that do not parse
  return refuse_ == nullptr ? Support{} : refuse_(grid, args);
}

std::unique_ptr<PreparedAttention> LocalAttention::Prepare(const AttentionSpec& spec,
                                                           const OpParams& params) const {
  const auto pattern = make_(*GridOf(spec.q), OpArgs(name_, args_, params));
  return std::make_unique<PreparedTiles>(BuildTileMap(spec.q, *pattern), ScoreScale(spec));
}

std::unique_ptr<AttentionMatrix> PreparedTiles::Matrix(Context&, const AttentionIo& io) {
  return SoftmaxMatrix({.q = io.q, .k = io.k, .lse = io.lse, .scale = scale_, .map = &map_});
}

void PreparedTiles::Run(Context& ctx, const AttentionIo& io) {
  TileAttentionCpu(ctx, map_, scale_, io);
}

}  // namespace fovea
