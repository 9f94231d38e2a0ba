#include "attention/ops/radial.h"

#include <algorithm>
#include <bit>
#include <cstdlib>

#include "attention/ops/local_attention.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {
    {"model", "wan", "wan or hunyuan: the video maps; 2d: ours, for pictures"},
    {"decay", "1", "video: width of the bands"},
    {"block", "128", "video: tokens of a block, 64 or 128"},
    {"ring", "full", "video: full or half, the band of neighbouring frames"},
    {"rule", "half", "2d: half or lattice"},
    {"tile", "8x8", "2d: tokens of a tile"}};

// The half-width of the band between frames d apart, or a negative number for none.
double HalfWidth(int d, int tokens, const RadialMapSettings& settings) {
  if (d == 0) return tokens;
  const double span = static_cast<double>(int64_t{1} << std::bit_width(unsigned(tokens))) /
                      static_cast<double>(int64_t{1} << std::bit_width(unsigned(d)));
  if (span < 128 && d % static_cast<int>(128 / span) != 0) return -1;
  if (d == 1) return settings.full_ring ? tokens : tokens / 2;
  return std::max(span * settings.decay, static_cast<double>(settings.block));
}

// Whether the block at canvas position (row, column) of a frame pair is kept. Frame tokens lie at
// [offset, offset + tokens) of the canvas.
bool KeepBlock(int row, int column, int row_offset, int column_offset, int tokens, double width,
               int block) {
  const int64_t w = static_cast<int64_t>(width);
  int touched = 0, high = 0;
  const int r_begin = std::max(0, row * block - row_offset);
  const int r_end = std::min(tokens, (row + 1) * block - row_offset);
  for (int c = std::max(0, column * block - column_offset);
       c < std::min(tokens, (column + 1) * block - column_offset); ++c) {
    const int64_t from = std::max<int64_t>(r_begin, c - w);
    const int64_t to = std::min<int64_t>(r_end, c + w + 1);
    const int64_t ones = std::max<int64_t>(0, to - from);
    touched += ones > 0;
    high += static_cast<double>(ones) / block > 1.0 / 3;
  }
  return high / (touched + 1e-9) > 0.6;
}

class RadialTiles final : public GridPattern {
 public:
  RadialTiles(const std::array<int, 3>& tile, bool lattice) : tile_(tile), lattice_(lattice) {}

  bool SeesAxis(int axis, int q, int k) const override { return axis != 0 || q == k; }
  AxisReach Reach(int axis, int q_begin, int q_end) const override {
    if (axis == 0) return {{q_begin, 0}, {q_end, 0}};
    return {{0, 0}, {1 << 30, 0}};
  }
  bool Separable() const override { return false; }
  bool SeesPoint(const GridPoint& q, const GridPoint& k) const override {
    const int dy = std::abs(q[1] / tile_[1] - k[1] / tile_[1]);
    const int dx = std::abs(q[2] / tile_[2] - k[2] / tile_[2]);
    const int far = std::max(dy, dx);
    if (far <= 1) return true;
    const int stride = static_cast<int>(std::bit_floor(static_cast<unsigned>(far)));
    return lattice_ ? dy % stride == 0 && dx % stride == 0 : (dy + dx) % stride == 0;
  }
  std::array<int, 3> Granule() const override { return {1, tile_[1], tile_[2]}; }

 private:
  std::array<int, 3> tile_;
  bool lattice_;
};

struct Settings {
  bool picture = false, lattice = false;
  AxisValues tile;
  RadialMapSettings video;

  std::array<int, 3> Tile() const { return tile.On({1, 1, 1}); }
};

Settings Read(const OpArgs& args) {
  const std::string_view model = args.Word("model", {"wan", "hunyuan", "2d"});
  Settings settings{model == "2d",
                    args.Word("rule", {"half", "lattice"}) == "lattice",
                    args.PerAxis("tile", 1, 1 << 20),
                    {}};
  settings.video.sink = model == "wan";
  settings.video.full_ring = args.Word("ring", {"full", "half"}) == "full";
  settings.video.decay = args.Number("decay", 0, 1e6);
  settings.video.block = args.Word("block", {"64", "128"}) == "64" ? 64 : 128;
  for (const std::string_view name : {"decay", "block", "ring"}) {
    if (settings.picture && args.Has(name)) {
      throw Error(ErrorCode::kUsage,
                  "radial(model=2d) has no " + std::string(name) + "; it takes rule and tile");
    }
  }
  for (const std::string_view name : {"rule", "tile"}) {
    if (!settings.picture && args.Has(name)) {
      throw Error(ErrorCode::kUsage, "radial: " + std::string(name) + " is for model=2d only");
    }
  }
  return settings;
}

class BoundRadial final : public BoundOp {
 public:
  BoundRadial(OperatorSpec spec, Settings settings)
      : BoundOp(std::move(spec), {.mixes = true}), settings_(std::move(settings)) {}

  Support Supports(const AttentionSpec& spec) const override {
    const Support support = SupportsLocal("radial", spec);
    if (!support.ok) return support;
    const auto grid = *GridOf(spec.q);
    const int tokens = grid[0] * grid[1] * grid[2];
    if (settings_.picture && grid[0] != 1) {
      return {false, "radial(model=2d) is for one frame, not " + std::to_string(grid[0])};
    }
    if (!settings_.picture && tokens % settings_.video.block != 0) {
      return {false, "radial needs grid tokens in a multiple of its block of " +
                         std::to_string(settings_.video.block) + ", not " + std::to_string(tokens)};
    }
    return {};
  }

  std::unique_ptr<PreparedAttention> Prepare(const AttentionSpec& spec) const override {
    const auto grid = *GridOf(spec.q);
    if (settings_.picture) {
      return std::make_unique<PreparedTiles>(
          BuildTileMap(spec.q, RadialTiles(settings_.Tile(), settings_.lattice)), ScoreScale(spec));
    }
    const auto kept = RadialBlockMap(grid[0], grid[1] * grid[2], settings_.video);
    return std::make_unique<PreparedTiles>(BlockTileMap(spec.q, settings_.video.block, kept),
                                           ScoreScale(spec));
  }

 private:
  Settings settings_;
};

constexpr OpAbout kAbout = {
    "blocks of video frames in bands that narrow with distance; model=2d: our analogue for "
    "pictures",
    "Li et al. 2025, Radial Attention, arXiv:2506.19852 (model=2d is ours, not the paper's)",
    "frames: O(n log n); one frame: dense; 2d: see the density that is reported",
    "cross-attention, causal attention; grid tokens that the block does not divide; model=2d on "
    "several frames"};

class Radial final : public AttentionOp {
 public:
  std::string_view Name() const override { return "radial"; }
  OpAbout About() const override { return kAbout; }
  std::span<const OpArg> Args() const override { return kArgs; }
  std::unique_ptr<const BoundOp> Bind(const OpParams& params) const override {
    return std::make_unique<BoundRadial>(OperatorSpec{"radial", params},
                                         Read(OpArgs(Name(), kArgs, params)));
  }
};

}  // namespace

std::vector<uint8_t> RadialBlockMap(int frames, int tokens, const RadialMapSettings& settings) {
  const int block = settings.block, blocks = frames * tokens / block;
  const int canvas = (tokens + block - 1) / block;  // blocks; what lies beyond is cut
  std::vector<uint8_t> kept(static_cast<size_t>(blocks) * static_cast<size_t>(blocks));
  for (int i = 0; i < frames; ++i) {
    for (int j = 0; j < frames; ++j) {
      const bool sink = settings.sink && j == 0;
      const double width = sink ? tokens : HalfWidth(std::abs(i - j), tokens, settings);
      if (width < 0) continue;
      const int row_first = i * tokens / block, column_first = j * tokens / block;
      for (int row = 0; row < canvas && row_first + row < blocks; ++row) {
        for (int column = 0; column < canvas && column_first + column < blocks; ++column) {
          if (!KeepBlock(row, column, i * tokens % block, j * tokens % block, tokens, width,
                         block)) {
            continue;
          }
          kept[static_cast<size_t>(row_first + row) * static_cast<size_t>(blocks) +
               static_cast<size_t>(column_first + column)] = 1;
        }
      }
    }
  }
  return kept;
}

const AttentionOp& RadialAttention() {
  static const Radial op;
  return op;
}

}  // namespace fovea
