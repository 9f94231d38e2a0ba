#include "attention/ops/dense.h"

#include "attention/kernels/tile/tile_attention.h"
#include "attention/matrix/softmax_matrix.h"
#include "attention/ops/local_attention.h"

namespace fovea {
namespace {

class PreparedDense final : public PreparedAttention {
 public:
  explicit PreparedDense(const AttentionSpec& spec)
      : scale_(ScoreScale(spec)),
        causal_(spec.causal),
        map_(DenseTileMap(TokenCount(spec.q), TokenCount(spec.kv), spec.causal)) {}

  const TileMap* Map() const override { return &map_; }
  void Run(Context& ctx, const OperatorIo& io, OpState*) override {
    TileAttention(ctx, map_, scale_, CallOf(io));
  }
  std::unique_ptr<AttentionMatrix> Matrix(Context&, const OperatorIo& io) override {
    return SoftmaxMatrix(
        {.q = io.q, .k = io.k, .lse = io.lse, .scale = scale_, .map = &map_, .causal = causal_});
  }

 private:
  float scale_;
  bool causal_;
  TileMap map_;
};

class BoundDense final : public BoundOp {
 public:
  explicit BoundDense(const OperatorSpec& spec) : BoundOp(spec, {.mixes = true, .cross = true}) {}

  Support Supports(const AttentionSpec& spec) const override {
    if (spec.dtype == DType::kF32 || spec.dtype == DType::kBF16) return {};
    return {false, "dense computes in f32 or bf16, not " + std::string(Name(spec.dtype))};
  }
  std::unique_ptr<PreparedAttention> Prepare(const AttentionSpec& spec) const override {
    return std::make_unique<PreparedDense>(spec);
  }
};

constexpr OpAbout kAbout = {"softmax attention over all keys: softmax(q kT / sqrt(d)) v",
                            "Vaswani et al. 2017, arXiv:1706.03762", "4 t kv d FLOPs a head",
                            "nothing"};

class Dense final : public AttentionOp {
 public:
  std::string_view Name() const override { return "dense"; }
  OpAbout About() const override { return kAbout; }
  std::unique_ptr<const BoundOp> Bind(const OpParams& params) const override {
    OpArgs(Name(), {}, params);  // throws for any
    return std::make_unique<BoundDense>(OperatorSpec{"dense", params});
  }
};

}  // namespace

const AttentionOp& DenseAttention() {
  static const Dense op;
  return op;
}

}  // namespace fovea
