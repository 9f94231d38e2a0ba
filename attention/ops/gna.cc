#include "attention/ops/gna.h"

#include <algorithm>
#include <climits>

#include "attention/ops/local_attention.h"

namespace fovea {
namespace {

struct Axis {
  int length, window, stride, dilation;
  bool causal;

  // The keys of query i in its residue class: [begin, end).
  std::array<int, 2> Keys(int i) const {
    const int group = i % dilation, at = i / dilation;
    const int members = (length - group + dilation - 1) / dilation;
    if (causal) {
      const int leader = std::min(at / stride * stride + stride - 1, members - 1);
      return {std::max(leader - window + 1, 0), at + 1};
    }
    const int leader = std::min(at / stride * stride + stride / 2, members - 1);
    const int start = std::clamp(leader - window / 2, 0, members - window);
    return {start, start + window};
  }
};

class Neighborhood final : public GridPattern {
 public:
  explicit Neighborhood(const std::array<Axis, 3>& axes) : axes_(axes) {}

  bool SeesAxis(int axis, int q, int k) const override {
    const Axis& a = axes_[static_cast<size_t>(axis)];
    if (q % a.dilation != k % a.dilation) return false;
    const auto [begin, end] = a.Keys(q);
    return k / a.dilation >= begin && k / a.dilation < end;
  }

  AxisReach Reach(int axis, int q_begin, int q_end) const override {
    const Axis& a = axes_[static_cast<size_t>(axis)];
    AxisReach reach;
    reach.begin[0] = INT_MAX;
    for (int q = q_begin; q < q_end; ++q) {
      const auto [begin, end] = a.Keys(q);
      const int group = q % a.dilation;
      reach.begin[0] = std::min(reach.begin[0], begin * a.dilation + group);
      reach.end[0] = std::max(reach.end[0], (end - 1) * a.dilation + group + 1);
    }
    return reach;
  }

 private:
  std::array<Axis, 3> axes_;
};

constexpr OpArg kArgs[] = {{"window", "13", "keys of a query on each axis"},
                           {"stride", "1", "queries that share a window"},
                           {"dilation", "1", "distance between the keys of a window"},
                           {"causal", "0", "1: no key after the query on this axis"}};

constexpr OpAbout kAbout = {
    "a window around each query that shifts inside the grid, with stride and dilation",
    "Hassani et al. 2022, arXiv:2204.07143; Generalized Neighborhood Attention, 2025, "
    "arXiv:2504.16922",
    "4 w d FLOPs a query for windows of w keys", "cross-attention, causal attention"};

LocalAttention::PatternOf Bind(const OpArgs& args) {
  constexpr int kMost = 1 << 20;
  return [windows = args.PerAxis("window", 1, kMost), strides = args.PerAxis("stride", 1, kMost),
          dilations = args.PerAxis("dilation", 1, kMost),
          causals = args.PerAxis("causal", 0, 1)](const std::array<int, 3>& grid) {
    const auto window = windows.On(grid), stride = strides.On(grid);
    const auto dilation = dilations.On(grid), causal = causals.On(grid);
    std::array<Axis, 3> axes;
    for (size_t a = 0; a < 3; ++a) {
      const int d = std::min(dilation[a], grid[a]);
      const int w = std::min(window[a], grid[a] / d);
      axes[a] = {grid[a], w, std::min(stride[a], w), d, causal[a] != 0 && grid[a] > 1};
    }
    return std::make_unique<Neighborhood>(axes);
  };
}

}  // namespace

const AttentionOp& GeneralizedNeighborhoodAttention() {
  static const LocalAttention op("gna", kAbout, kArgs, Bind);
  return op;
}

}  // namespace fovea
