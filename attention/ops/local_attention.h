// What all operators share that are only a geometry: a grid pattern run by the tile kernel.
//
// Such an operator is one short file: its arguments, its pattern, its entry in registry.cc. Text,
// class and register tokens see, and are seen by, everything.
#pragma once

#include <memory>
#include <optional>

#include "attention/attention_op.h"
#include "attention/grid_pattern.h"
#include "attention/op_args.h"
#include "attention/tile_map.h"

namespace fovea {

// The layout's one grid: frames, rows, columns. Empty without one.
std::optional<std::array<int, 3>> GridOf(const TokenLayout& layout);

// What every local operator refuses: cross-attention, no grid, other dtypes.
Support SupportsLocal(std::string_view op, const AttentionSpec& spec);

// 1/sqrt(head_dim), or the spec's own scale.
float ScoreScale(const AttentionSpec& spec);

class LocalAttention final : public AttentionOp {
 public:
  using MakePattern = std::unique_ptr<GridPattern> (*)(const std::array<int, 3>& grid,
                                                       const OpArgs& args);
  using Refuse = Support (*)(const std::array<int, 3>& grid, const OpArgs& args);

  // `refuse` may be null: nothing beyond SupportsLocal.
  LocalAttention(std::string_view name, const OpAbout& about, std::span<const OpArg> args,
                 MakePattern make, Refuse refuse = nullptr)
      : name_(name), about_(about), args_(args), make_(make), refuse_(refuse) {}

  std::string_view Name() const override { return name_; }
  OpAbout About() const override { return about_; }
  std::span<const OpArg> Args() const override { return args_; }
  Support Supports(const AttentionSpec& spec, const OpParams& params) const override;
  std::unique_ptr<PreparedAttention> Prepare(const AttentionSpec& spec,
                                             const OpParams& params) const override;

 private:
  std::string_view name_;
  OpAbout about_;
  std::span<const OpArg> args_;
  MakePattern make_;
  Refuse refuse_;
};

// A tile map and a scale, ready to run.
class PreparedTiles final : public PreparedAttention {
 public:
  PreparedTiles(TileMap map, float scale) : map_(std::move(map)), scale_(scale) {}
  void Run(Context& ctx, const AttentionIo& io) override;
  std::unique_ptr<AttentionMatrix> Matrix(Context& ctx, const AttentionIo& io) override;
  const TileMap* Map() const override { return &map_; }

 private:
  TileMap map_;
  float scale_;
};

}  // namespace fovea
