// What selectors compute from queries and keys: means of tiles, attention summed over pairs of
// tiles, and the rules that turn such numbers into bits.
#pragma once

#include <vector>

#include "attention/kernels/tile/score_block.h"
#include "attention/selectors/selector.h"
#include "tensor/finite.h"

namespace fovea {

// A number for each pair of grid tiles, row-major by query tile.
using TileScores = std::vector<float>;

// Means over the tokens of each grid tile, (Count(), d).
std::vector<float> TileMeans(const SelectorCall& call, const Tensor& x);

// Keys of a softmax: `index` into rows, and the tile each belongs to.
struct ScoredKeys {
  KeyRows rows;
  bool bf16 = false;
  std::vector<int32_t> index, tile;
};
// The grid's keys as the tensor has them, or rows of packed floats with a tile each.
ScoredKeys GridKeys(const SelectorCall& call);
ScoredKeys PackedKeys(const std::vector<float>& rows, int64_t d, std::vector<int32_t> tile);

// Attention of some queries, summed over tiles: result[i][j] = the sum over queries of tile i and
// keys of tile j of softmax(scale q kᵀ), over all of `keys`. q is f32, (tile_of_query.size(), d).
// Scratch: 64 floats a key. 2 d FLOPs a pair.
TileScores AttentionMass(const std::vector<float>& q, const std::vector<int32_t>& tile_of_query,
                         const ScoredKeys& keys, int64_t d, float scale, size_t count);
// The same of the mean queries and mean keys of tiles; each row sums to 1.
TileScores PooledMass(const SelectorCall& call);

// Rows of q, k or v as f32, packed: of these positions in tiles.tokens.
std::vector<float> RowsOf(const SelectorCall& call, const Tensor& x,
                          const std::vector<int32_t>& positions);

// Column indices, the largest number first, equal ones by index.
std::vector<int32_t> Descending(std::span<const float> row);
// max(1, int(keep * count)), as all budgets are counted.
size_t Budget(double keep, size_t count);
// Keeps the `budget` largest of each row.
void KeepLargest(const TileScores& scores, size_t budget, TileBits& kept);

// Whether tile j lies within `ring` tiles of tile i on every axis.
bool IsNear(const TokenTile& i, const TokenTile& j, int ring);

}  // namespace fovea
