// What all operators share that are only a geometry: a grid pattern run by the tile kernel.
//
// Such an operator is one short file: its arguments, its pattern, its entry in registry.cc. Text,
// class and register tokens see, and are seen by, everything.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "attention/attention_op.h"
#include "attention/kernels/tile/tile_attention.h"
#include "attention/op_args.h"
#include "attention/tiles/grid_pattern.h"
#include "attention/tiles/tile_map.h"

namespace fovea {

// The layout's one grid: its segment; its frames, rows, columns. Empty without one.
const Segment* GridSegment(const TokenLayout& layout);
std::optional<std::array<int, 3>> GridOf(const TokenLayout& layout);

// What every local operator refuses: cross-attention, no grid, other dtypes.
Support SupportsLocal(std::string_view op, const AttentionSpec& spec);

// 1/sqrt(head_dim), or the spec's own scale.
float ScoreScale(const AttentionSpec& spec);

// The kernel's call of an operator that ends with it.
TileCall CallOf(const OperatorIo& io);

class LocalAttention final : public AttentionOp {
 public:
  // What is seen on a grid. Throws kUsage where arguments do not fit the grid's number of axes.
  using PatternOf = std::function<std::unique_ptr<GridPattern>(const std::array<int, 3>& grid)>;
  using BindPattern = PatternOf (*)(const OpArgs& args);

  LocalAttention(std::string_view name, const OpAbout& about, std::span<const OpArg> args,
                 BindPattern bind)
      : name_(name), about_(about), args_(args), bind_(bind) {}

  std::string_view Name() const override { return name_; }
  OpAbout About() const override { return about_; }
  std::span<const OpArg> Args() const override { return args_; }
  std::unique_ptr<const BoundOp> Bind(const OpParams& params) const override;

 private:
  std::string_view name_;
  OpAbout about_;
  std::span<const OpArg> args_;
  BindPattern bind_;
};

// A tile map and a scale, ready to run.
class PreparedTiles final : public PreparedAttention {
 public:
  PreparedTiles(TileMap map, float scale) : map_(std::move(map)), scale_(scale) {}
  void Run(Context& ctx, const OperatorIo& io, OpState* state) override;
  std::unique_ptr<AttentionMatrix> Matrix(Context& ctx, const OperatorIo& io) override;
  const TileMap* Map() const override { return &map_; }

 private:
  TileMap map_;
  float scale_;
};

}  // namespace fovea
