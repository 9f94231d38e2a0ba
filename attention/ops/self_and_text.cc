#include "attention/ops/self_and_text.h"

#include "attention/ops/local_attention.h"

namespace fovea {
namespace {

class Self final : public GridPattern {
 public:
  bool SeesAxis(int, int q, int k) const override { return q == k; }
  AxisReach Reach(int, int q_begin, int q_end) const override { return {{q_begin, 0}, {q_end, 0}}; }
  bool OffsetOnly() const override { return true; }
};

constexpr OpAbout kAbout = {"each token of the grid sees itself and all text",
                            "Ahn et al. 2024, arXiv:2403.17377, as diffusers has it for SD3",
                            "4 (1 + text) d FLOPs a query", "cross-attention, causal attention"};

LocalAttention::PatternOf Bind(const OpArgs&) {
  return [](const std::array<int, 3>&) { return std::make_unique<Self>(); };
}

}  // namespace

const AttentionOp& SelfAndTextAttention() {
  static const LocalAttention op("self-and-text", kAbout, {}, Bind);
  return op;
}

}  // namespace fovea
