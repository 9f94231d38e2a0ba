#include "attention/ops/dense.h"

#include <cmath>

#include "attention/kernels/tile_attention.h"
#include "attention/ops/softmax_matrix.h"

namespace fovea {
namespace {

class PreparedDense final : public PreparedAttention {
 public:
  explicit PreparedDense(const AttentionSpec& spec)
      : scale_(spec.scale > 0 ? spec.scale : 1 / std::sqrt(static_cast<float>(spec.head_dim))),
        causal_(spec.causal),
        map_(DenseTileMap(TokenCount(spec.q), TokenCount(spec.kv), spec.causal)) {}

  const TileMap* Map() const override { return &map_; }
  void Run(Context& ctx, const AttentionIo& io) override {
    TileAttentionCpu(ctx, map_, scale_, io);
  }
  std::unique_ptr<AttentionMatrix> Matrix(Context&, const AttentionIo& io) override {
    return SoftmaxMatrix(
        {.q = io.q, .k = io.k, .lse = io.lse, .scale = scale_, .map = &map_, .causal = causal_});
  }

 private:
  float scale_;
  bool causal_;
  TileMap map_;
};

constexpr OpAbout kAbout = {"softmax attention over all keys: softmax(q kT / sqrt(d)) v",
                            "Vaswani et al. 2017, arXiv:1706.03762", "4 t kv d FLOPs a head",
                            "nothing"};

class Dense final : public AttentionOp {
 public:
  std::string_view Name() const override { return "dense"; }
  OpAbout About() const override { return kAbout; }

  Support Supports(const AttentionSpec& spec, const OpParams& params) const override {
    OpArgs(Name(), {}, params);  // throws for any
    if (spec.dtype != DType::kF32 && spec.dtype != DType::kBF16) {
      return {false, "dense computes in f32 or bf16, not " + std::string(fovea::Name(spec.dtype))};
    }
    return {};
  }

  std::unique_ptr<PreparedAttention> Prepare(const AttentionSpec& spec,
                                             const OpParams&) const override {
    return std::make_unique<PreparedDense>(spec);
  }
};

}  // namespace

const AttentionOp& DenseAttention() {
  static const Dense op;
  return op;
}

}  // namespace fovea
