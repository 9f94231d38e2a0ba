// Which key tiles each query tile visits, and what it sees inside them.
//
// One kernel runs every operator that is a softmax from this map. The map of a local operator is
// shared by heads, batch, layers and steps, and built once per geometry; an operator that chooses
// tiles by content makes one for each sample and head of a call (TileMaps). Masks are few: patterns
// repeat away from the borders.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "attention/tiles/grid_pattern.h"
#include "attention/tiles/token_tiles.h"

namespace fovea {

// Bit i of row j: query i of the query tile sees key j of the key tile.
using TileMask = std::array<uint64_t, kTileTokens>;

struct TileMap {
  struct Visit {
    int32_t tile;  // of the keys
    int32_t mask;  // index into masks, or -1: every pair is seen
  };
  struct Row {
    int64_t begin = 0, end = 0;  // in visits; rows may share theirs
    int64_t Length() const { return end - begin; }
  };
  TokenTiles q, kv;
  std::vector<Row> rows;      // one for each tile of q
  std::vector<Visit> visits;  // of a row: text and full tiles first, partial ones last
  std::vector<TileMask> masks;
  int64_t pairs = 0;          // query-key pairs that are seen
  int64_t visited_pairs = 0;  // pairs inside visited tiles: what is computed

  int64_t AllPairs() const {
    return static_cast<int64_t>(q.tokens.size()) * static_cast<int64_t>(kv.tokens.size());
  }
  double Density() const { return static_cast<double>(pairs) / static_cast<double>(AllPairs()); }
  double VisitedShare() const {
    return static_cast<double>(visited_pairs) / static_cast<double>(AllPairs());
  }
};

// What one call visits, as a value: it is kept with the call, so that what is shown of it is what
// ran.
struct TileMaps {
  std::vector<std::shared_ptr<const TileMap>> each;  // 1 for all, or samples * heads; never changed
  // Under the PlanningBackend, where nothing can be chosen: `each` is empty, and this is a bound
  // from above of the pairs that one head visits.
  double planned_pairs = 0;

  const TileMap& Of(size_t sample_and_head) const {
    return *each[each.size() == 1 ? 0 : sample_and_head];
  }
  double MeanPairs() const;         // that are seen, over the maps
  double MeanVisitedPairs() const;  // or planned_pairs
};

// Every query sees every key (or, causal, key j <= query i), in runs of 64. All rows of the plain
// map are one: its size grows with the tokens, not with their square.
TileMap DenseTileMap(int queries, int keys, bool causal);

// Self-attention over one layout: grid queries see grid keys by the pattern; tokens of other kinds
// see and are seen by all. `extra_keys` more keys, indexed after the layout's, are seen by grid
// queries only. An empty `box` takes ChooseBox.
TileMap BuildTileMap(const TokenLayout& layout, const GridPattern& pattern, int extra_keys = 0,
                     std::array<int, 3> box = {0, 0, 0});

// The same with the grid in runs of `block` tokens (a multiple of 64 that divides the grid) and
// `kept` blocks x blocks, row-major, nonzero where a query block sees a key block.
TileMap BlockTileMap(const TokenLayout& layout, int block, const std::vector<uint8_t>& kept);

}  // namespace fovea
