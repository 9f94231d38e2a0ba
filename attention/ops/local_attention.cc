#include "attention/ops/local_attention.h"

#include <cmath>

#include "attention/matrix/softmax_matrix.h"

namespace fovea {
namespace {

class BoundLocal final : public BoundOp {
 public:
  BoundLocal(OperatorSpec spec, LocalAttention::PatternOf pattern_of)
      : BoundOp(std::move(spec), {.mixes = true}), pattern_of_(std::move(pattern_of)) {}

  Support Supports(const AttentionSpec& spec) const override {
    const Support support = SupportsLocal(Spec().name, spec);
    if (support.ok) pattern_of_(*GridOf(spec.q));  // throws for arguments that do not fit
    return support;
  }
  std::unique_ptr<PreparedAttention> Prepare(const AttentionSpec& spec) const override {
    return std::make_unique<PreparedTiles>(BuildTileMap(spec.q, *pattern_of_(*GridOf(spec.q))),
                                           ScoreScale(spec));
  }

 private:
  LocalAttention::PatternOf pattern_of_;
};

}  // namespace

const Segment* GridSegment(const TokenLayout& layout) {
  for (const Segment& segment : layout) {
    if (segment.kind == SegmentKind::kGrid) return &segment;
  }
  return nullptr;
}

std::optional<std::array<int, 3>> GridOf(const TokenLayout& layout) {
  const Segment* segment = GridSegment(layout);
  if (segment == nullptr) return std::nullopt;
  return segment->grid;
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

TileCall CallOf(const OperatorIo& io) {
  return {.q = io.q, .k = io.k, .v = io.v, .out = io.out, .lse = io.lse, .mix = io.mix};
}

std::unique_ptr<const BoundOp> LocalAttention::Bind(const OpParams& params) const {
  return std::make_unique<BoundLocal>(OperatorSpec{std::string(name_), params},
                                      bind_(OpArgs(name_, args_, params)));
}

std::unique_ptr<AttentionMatrix> PreparedTiles::Matrix(Context&, const OperatorIo& io) {
  return SoftmaxMatrix({.q = io.q, .k = io.k, .lse = io.lse, .scale = scale_, .map = &map_});
}

void PreparedTiles::Run(Context& ctx, const OperatorIo& io, OpState*) {
  TileAttention(ctx, map_, scale_, CallOf(io));
}

}  // namespace fovea
