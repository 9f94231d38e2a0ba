#include "attention/ops/halo.h"

#include "attention/ops/local_attention.h"

namespace fovea {
namespace {

class Halo final : public GridPattern {
 public:
  Halo(const std::array<int, 3>& block, const std::array<int, 3>& halo)
      : block_(block), halo_(halo) {}

  bool SeesAxis(int axis, int q, int k) const override {
    const AxisReach reach = Reach(axis, q, q + 1);
    return k >= reach.begin[0] && k < reach.end[0];
  }

  AxisReach Reach(int axis, int q_begin, int q_end) const override {
    const size_t a = static_cast<size_t>(axis);
    AxisReach reach;
    reach.begin[0] = q_begin / block_[a] * block_[a] - halo_[a];
    reach.end[0] = ((q_end - 1) / block_[a] + 1) * block_[a] + halo_[a];
    return reach;
  }

 private:
  std::array<int, 3> block_, halo_;
};

constexpr OpArg kArgs[] = {{"block", "8", "tokens of a block on each axis"},
                           {"halo", "3", "tokens of the rim on each side"}};

constexpr OpAbout kAbout = {
    "blocks of queries that see their block and a rim around it, cut at the border",
    "Vaswani et al. 2021, HaloNet, arXiv:2103.12731", "4 (b + 2 h)^2 d FLOPs a query",
    "cross-attention, causal attention"};

LocalAttention::PatternOf Bind(const OpArgs& args) {
  return [block = args.PerAxis("block", 1, 1 << 20),
          halo = args.PerAxis("halo", 0, 1 << 20)](const std::array<int, 3>& grid) {
    return std::make_unique<Halo>(block.On(grid), halo.On(grid));
  };
}

}  // namespace

const AttentionOp& HaloAttention() {
  static const LocalAttention op("halo", kAbout, kArgs, Bind);
  return op;
}

}  // namespace fovea
