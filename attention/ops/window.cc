#include "attention/ops/window.h"

#include <map>
#include <optional>
#include <random>

#include "attention/kernels/cpu_kernels.h"
#include "attention/kernels/resize_grid.h"
#include "attention/kernels/tile/tile_attention.h"
#include "attention/matrix/resampled_matrix.h"
#include "attention/matrix/softmax_matrix.h"
#include "attention/ops/local_attention.h"
#include "attention/random_bits.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {
    {"grid", "2x2", "windows on each axis"},
    {"shift", "0x0", "fixed shift in tokens, rows x columns"},
    {"quarter", "0", "fixed shift in quarters of a window, 0 to 3"},
    {"schedule", "step", "step or upstream: how the quarter changes, if neither is fixed"},
    {"odd", "ragged", "ragged or resample: grids that the windows do not divide"}};

int Mod(int a, int n) {
  return (a % n + n) % n;
}

class Windows final : public GridPattern {
 public:
  Windows(const std::array<int, 3>& grid, const std::array<int, 3>& size,
          const std::array<int, 3>& shift)
      : grid_(grid), size_(size), shift_(shift) {}

  bool SeesAxis(int axis, int q, int k) const override {
    return Window(axis, q) == Window(axis, k);
  }

  AxisReach Reach(int axis, int q_begin, int q_end) const override {
    const size_t a = static_cast<size_t>(axis);
    const int length = grid_[a], first = Mod(q_begin - shift_[a], length);
    AxisReach reach{{0, 0}, {length, 0}};
    if (first + q_end - q_begin > length) return reach;  // the queries themselves wrap
    const int begin = first / size_[a] * size_[a] + shift_[a];
    const int end =
        std::min(length, ((first + q_end - q_begin - 1) / size_[a] + 1) * size_[a]) + shift_[a];
    const int turn = begin / length * length;  // shift < length
    reach.begin[0] = begin - turn;
    reach.end[0] = std::min(end - turn, length);
    reach.end[1] = end - turn - length;  // what wraps to the start, if positive
    return reach;
  }

 private:
  int Window(int axis, int i) const {
    const size_t a = static_cast<size_t>(axis);
    return Mod(i - shift_[a], grid_[a]) / size_[a];
  }

  std::array<int, 3> grid_, size_, shift_;
};

struct Settings {
  AxisValues windows;
  std::optional<AxisValues> shift;
  std::optional<int> quarter;
  bool upstream, resample;

  bool Draws() const { return !shift && !quarter; }
  std::array<int, 3> WindowsOn(const std::array<int, 3>& grid) const {
    std::array<int, 3> count = windows.On(grid);
    if (grid[0] == 1) count[0] = 1;
    return count;
  }
};

Settings Read(const OpArgs& args) {
  if (args.Has("shift") && args.Has("quarter")) {
    throw Error(ErrorCode::kUsage, "window: shift and quarter both fix the shift; give one");
  }
  Settings settings{args.PerAxis("grid", 1, 4096), {}, {}, false, false};
  if (args.Has("shift")) settings.shift = args.PerAxis("shift", 0, 1 << 20);
  if (args.Has("quarter")) settings.quarter = args.Int("quarter", 0, 3);
  settings.upstream = args.Word("schedule", {"step", "upstream"}) == "upstream";
  settings.resample = args.Word("odd", {"ragged", "resample"}) == "resample";
  return settings;
}

class PreparedWindow final : public PreparedAttention {
 public:
  PreparedWindow(const AttentionSpec& spec, const Settings& settings)
      : settings_(settings), layout_(spec.q), grid_(*GridOf(spec.q)), scale_(ScoreScale(spec)) {
    const std::array<int, 3> windows = settings.WindowsOn(grid_);
    if (settings.shift) shift_ = settings.shift->On(grid_);
    for (size_t a = 0; a < 3; ++a) {
      size_[a] = (grid_[a] + windows[a] - 1) / windows[a];
      resized_ = resized_ || size_[a] * windows[a] != grid_[a];
    }
    resized_ = resized_ && settings.resample;
    if (resized_) {
      source_ = grid_;
      for (size_t a = 0; a < 3; ++a) grid_[a] = size_[a] * windows[a];
      layout_ = GridLayout(grid_[1], grid_[2]);
    }
    MapFor({0, 0, 0});
  }

  const TileMap* Map() const override { return &maps_.begin()->second; }

  bool HasLse() const override { return !resized_; }

  void Run(Context& ctx, const OperatorIo& io, OpState*) override {
    const TileMap& map = MapFor(ShiftAt(io.at));
    if (!resized_) return TileAttention(ctx, map, scale_, CallOf(io));
    ENSURE(io.lse.Empty(), "window(odd=resample) has no lse");
    ArenaScope scope(ctx.arena);
    const Shape shape{io.q.shape[0], TokenCount(layout_), io.q.shape[2], io.q.shape[3]};
    TileCall even{.q = io.q, .k = io.k, .v = io.v, .out = ctx.arena.New(shape, io.q.dtype)};
    for (Tensor* x : {&even.q, &even.k, &even.v}) {
      const Tensor source = *x;
      *x = ctx.arena.New(shape, io.q.dtype);
      ResizeGrid(ctx, source, source_[1], source_[2], *x, grid_[1], grid_[2]);
    }
    TileAttention(ctx, map, scale_, even);
    ResizeGrid(ctx, even.out, grid_[1], grid_[2], io.out, source_[1], source_[2]);
  }

  std::unique_ptr<AttentionMatrix> Matrix(Context&, const OperatorIo& io) override {
    const TileMap& map = MapFor(ShiftAt(io.at));
    if (!resized_) {
      return SoftmaxMatrix({.q = io.q, .k = io.k, .lse = io.lse, .scale = scale_, .map = &map});
    }
    SoftmaxSource even{.scale = scale_, .map = &map};
    const Shape shape{io.q.shape[0], TokenCount(layout_), io.q.shape[2], io.q.shape[3]};
    for (const Tensor* x : {&io.q, &io.k}) {
      even.owned.emplace_back(shape, x->dtype);
      ResizeGridCpu(*x, source_[1], source_[2], even.owned.back().View(), grid_[1], grid_[2]);
    }
    even.q = even.owned[0].View();
    even.k = even.owned[1].View();
    return ResampledMatrix(SoftmaxMatrix(std::move(even)), {source_[1], source_[2]},
                           {grid_[1], grid_[2]});
  }

 private:
  std::array<int, 3> ShiftAt(const RunPoint& at) const {
    std::array<int, 3> shift{};
    if (settings_.shift) {
      for (size_t a = 0; a < 3; ++a) shift[a] = shift_[a] % grid_[a];
      return shift;
    }
    const int quarter = settings_.quarter    ? *settings_.quarter
                        : settings_.upstream ? UpstreamQuarter(at.seed, at.draw)
                                             : StepQuarter(at.seed, at.step, at.layer);
    for (size_t a = 1; a < 3; ++a) shift[a] = size_[a] / 4 * quarter;
    if (shift[1] == 0) shift[2] = 0;  // the official code rolls nothing then
    return shift;
  }

  const TileMap& MapFor(const std::array<int, 3>& shift) {
    const auto found = maps_.find(shift);
    if (found != maps_.end()) return found->second;
    return maps_.emplace(shift, BuildTileMap(layout_, Windows(grid_, size_, shift))).first->second;
  }

  Settings settings_;
  TokenLayout layout_;
  std::array<int, 3> grid_, size_{}, source_{}, shift_{};
  float scale_;
  bool resized_ = false;
  std::map<std::array<int, 3>, TileMap> maps_;  // by shift; at most four under a schedule
};

class BoundWindow final : public BoundOp {
 public:
  BoundWindow(OperatorSpec spec, Settings settings)
      : BoundOp(std::move(spec), {.seed = settings.Draws(),
                                  .draws = settings.Draws() && settings.upstream,
                                  .mixes = !settings.resample}),
        settings_(std::move(settings)) {}

  Support Supports(const AttentionSpec& spec) const override {
    const Support support = SupportsLocal("window", spec);
    if (!support.ok) return support;
    const auto grid = *GridOf(spec.q), windows = settings_.WindowsOn(grid);
    if (settings_.shift) settings_.shift->On(grid);  // throws where it does not fit
    for (size_t a = 0; a < 3; ++a) {
      if (windows[a] > grid[a]) {
        return {false, "window cannot cut a side of " + std::to_string(grid[a]) + " tokens into " +
                           std::to_string(windows[a]) + " windows"};
      }
    }
    if (settings_.resample && (spec.q.size() > 1 || grid[0] > 1)) {
      return {false, "window(odd=resample) resizes one frame of grid tokens alone"};
    }
    return {};
  }
  std::unique_ptr<PreparedAttention> Prepare(const AttentionSpec& spec) const override {
    return std::make_unique<PreparedWindow>(spec, settings_);
  }

 private:
  Settings settings_;
};

constexpr OpAbout kAbout = {
    "the grid cut into a few large windows that shift from step to step (MSW-MSA)",
    "Zhang et al. 2024, HiDiffusion, arXiv:2311.17528", "dense divided by the number of windows",
    "cross-attention, causal attention; more windows than tokens on a side; odd=resample with text "
    "or several frames"};

class Window final : public AttentionOp {
 public:
  std::string_view Name() const override { return "window"; }
  OpAbout About() const override { return kAbout; }
  std::span<const OpArg> Args() const override { return kArgs; }
  std::unique_ptr<const BoundOp> Bind(const OpParams& params) const override {
    return std::make_unique<BoundWindow>(OperatorSpec{"window", params},
                                         Read(OpArgs(Name(), kArgs, params)));
  }
};

}  // namespace

int StepQuarter(uint64_t seed, int step, int layer) {
  return static_cast<int>(RandomBits(seed, step, layer).Next() >> 62);
}

int UpstreamQuarter(uint64_t seed, int64_t draw) {
  std::mt19937 generator(static_cast<uint32_t>(seed));
  generator.discard(static_cast<unsigned long long>(draw));
  const double u = (generator() & 0xffffffu) / 16777216.0;
  return u <= 0.25 ? 0 : u <= 0.5 ? 1 : u <= 0.75 ? 2 : 3;
}

const AttentionOp& WindowAttention() {
  static const Window op;
  return op;
}

}  // namespace fovea
