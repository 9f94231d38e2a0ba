#include "attention/ops/clear.h"

#include <cmath>
#include <cstdlib>
#include <vector>

#include "attention/kernels/cpu_kernels.h"
#include "attention/kernels/pooling.h"
#include "attention/kernels/tile/tile_attention.h"
#include "attention/matrix/softmax_matrix.h"
#include "attention/ops/local_attention.h"

namespace fovea {
namespace {

class Disk final : public GridPattern {
 public:
  explicit Disk(int radius) : radius_(radius) {}

  bool SeesAxis(int axis, int q, int k) const override {
    return axis == 0 ? q == k : std::abs(q - k) < radius_;
  }
  AxisReach Reach(int axis, int q_begin, int q_end) const override {
    const int rim = axis == 0 ? 0 : radius_ - 1;
    return {{q_begin - rim, 0}, {q_end + rim, 0}};
  }
  bool Separable() const override { return false; }
  bool SeesPoint(const GridPoint& q, const GridPoint& k) const override {
    const int64_t dy = q[1] - k[1], dx = q[2] - k[2];
    return dy * dy + dx * dx < int64_t{radius_} * radius_;
  }
  bool OffsetOnly() const override { return true; }

 private:
  int radius_;
};

constexpr std::string_view kWeight = "spatial_weight";

struct Settings {
  int radius, down;
  bool proportional;
};

class PreparedClear final : public PreparedAttention {
 public:
  PreparedClear(const AttentionSpec& spec, const Settings& settings)
      : grid_(*GridSegment(spec.q)),
        down_(settings.down),
        own_scale_(settings.proportional),
        scale_(ScoreScale(spec)) {
    if (down_ > 1) cells_ = grid_.length / (down_ * down_);
    if (own_scale_) {
      const double n = TokenCount(spec.q) * (down_ > 1 ? 10.0 : 1.0);
      scale_ = static_cast<float>(std::sqrt(std::log(n) / std::log(4608.0) / spec.head_dim));
    }
    map_ = BuildTileMap(spec.q, Disk(settings.radius), cells_);
  }

  const TileMap* Map() const override { return &map_; }
  std::string_view NotPlainSoftmax() const override {
    return cells_ > 0 ? "has pooled keys" : own_scale_ ? "has a scale of its own" : "";
  }

  void Run(Context& ctx, const OperatorIo& io, OpState*) override {
    CheckWeights(io);
    TileCall call = CallOf(io);
    if (cells_ == 0) return TileAttention(ctx, map_, scale_, call);
    ArenaScope scope(ctx.arena);
    const Shape pooled{io.k.shape[0], cells_, io.k.shape[2], io.k.shape[3]};
    call.extra_k = ctx.arena.New(pooled, io.k.dtype);
    call.extra_v = ctx.arena.New(pooled, io.v.dtype);
    const std::vector<float> weights = Weights(io);
    PoolCells(ctx, io.k, grid_, down_, weights.data(), call.extra_k);
    PoolCells(ctx, io.v, grid_, down_, weights.data(), call.extra_v);
    TileAttention(ctx, map_, scale_, call);
  }

  std::unique_ptr<AttentionMatrix> Matrix(Context&, const OperatorIo& io) override {
    SoftmaxSource source{.q = io.q, .k = io.k, .lse = io.lse, .scale = scale_, .map = &map_};
    if (cells_ > 0) {
      const std::vector<float> weights = Weights(io);
      source.owned.emplace_back(Shape{io.k.shape[0], cells_, io.k.shape[2], io.k.shape[3]},
                                io.k.dtype);
      source.extra_k = source.owned.back().View();
      PoolCellsCpu(io.k, grid_, down_, weights.data(), source.extra_k);
      source.folded = Folded(weights);
    }
    return SoftmaxMatrix(std::move(source));
  }

 private:
  // Which tokens each pooled key stands for.
  FoldedKeys Folded(const std::vector<float>& weights) const {
    FoldedKeys folded;
    const int columns = grid_.grid[2] / down_;
    for (int cell = 0; cell < cells_; ++cell) {
      for (int i = 0; i < down_ * down_; ++i) {
        const int y = cell / columns * down_ + i / down_, x = cell % columns * down_ + i % down_;
        folded.tokens.push_back(grid_.begin + y * grid_.grid[2] + x);
        folded.weights.push_back(weights[static_cast<size_t>(i)]);
      }
      folded.begin.push_back(static_cast<int32_t>(folded.tokens.size()));
    }
    return folded;
  }

  static const Tensor* FindWeight(const OperatorIo& io) {
    if (io.weights == nullptr) return nullptr;
    const auto found = io.weights->find(std::string(kWeight));
    return found == io.weights->end() ? nullptr : &found->second;
  }

  // A layer that was trained with pooled keys is not to lose them, or get others, unnoticed.
  void CheckWeights(const OperatorIo& io) const {
    const Tensor* weight = FindWeight(io);
    const int64_t count = int64_t{down_} * down_;
    if (weight == nullptr || (weight->NumElements() == count && weight->IsContiguous())) return;
    throw Error(ErrorCode::kUnsupported,
                "clear: spatial_weight has shape " + weight->shape.ToString() +
                    "; down=" + std::to_string(down_) + " needs " + std::to_string(count) +
                    " values; give the side of its cells as down");
  }

  std::vector<float> Weights(const OperatorIo& io) const {
    const size_t count = static_cast<size_t>(down_) * static_cast<size_t>(down_);
    if (const Tensor* weight = FindWeight(io)) {
      return {weight->Data<float>(), weight->Data<float>() + count};
    }
    return std::vector<float>(count, 1.0f / static_cast<float>(count));
  }

  Segment grid_;
  int down_, cells_ = 0;
  bool own_scale_;
  float scale_;
  TileMap map_;
};

std::string Number(int value) {
  return std::to_string(value);
}

class BoundClear final : public BoundOp {
 public:
  BoundClear(OperatorSpec spec, const Settings& settings)
      : BoundOp(std::move(spec), {.mixes = true, .tensors = {kWeight}}), settings_(settings) {}

  Support Supports(const AttentionSpec& spec) const override {
    const Support support = SupportsLocal("clear", spec);
    if (!support.ok) return support;
    const auto grid = *GridOf(spec.q);
    const int down = settings_.down;
    if (grid[0] != 1) return {false, "clear is defined on one frame, not on " + Number(grid[0])};
    if (grid[1] % down != 0 || grid[2] % down != 0) {
      return {false, "clear(down=" + Number(down) + ") needs sides that " + Number(down) +
                         " divides, not " + Number(grid[1]) + "x" + Number(grid[2])};
    }
    return {};
  }
  std::unique_ptr<PreparedAttention> Prepare(const AttentionSpec& spec) const override {
    return std::make_unique<PreparedClear>(spec, settings_);
  }

 private:
  Settings settings_;
};

constexpr OpArg kArgs[] = {
    {"r", "16", "radius in tokens: keys closer than this are seen"},
    {"down", "1", "side of the cells of additional pooled keys; 1: none"},
    {"proportional", "off", "on: scale sqrt(log_4608(n) / dim) for larger pictures"}};

constexpr OpAbout kAbout = {
    "keys within a circle around the query, and all text",
    "Liu et al. 2024, CLEAR, arXiv:2412.16112",
    "about 4 pi r^2 d FLOPs a query, 4 (n / down^2) d more with pooled keys",
    "cross-attention, causal attention; several frames; sides that down does not divide"};

class Clear final : public AttentionOp {
 public:
  std::string_view Name() const override { return "clear"; }
  OpAbout About() const override { return kAbout; }
  std::span<const OpArg> Args() const override { return kArgs; }

  std::unique_ptr<const BoundOp> Bind(const OpParams& params) const override {
    const OpArgs args(Name(), kArgs, params);
    const Settings settings{args.Int("r", 1, 1 << 20), args.Int("down", 1, 1 << 20),
                            args.Word("proportional", {"off", "on"}) == "on"};
    return std::make_unique<BoundClear>(OperatorSpec{"clear", params}, settings);
  }
};

}  // namespace

const AttentionOp& ClearAttention() {
  static const Clear op;
  return op;
}

}  // namespace fovea
