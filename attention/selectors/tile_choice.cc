#include "attention/selectors/tile_choice.h"

#include <algorithm>
#include <cmath>

#include "attention/kernels/element.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

void Visit(TileMap& map, const TokenTile& q, int32_t tile) {
  const int64_t pairs = int64_t{q.count} * map.kv.tiles[static_cast<size_t>(tile)].count;
  map.visits.push_back({tile, -1});
  map.pairs += pairs;
  map.visited_pairs += pairs;
}

// The stand-ins that grid tile `row` sees, in runs of 64 with a mask.
void VisitStandIns(TileMap& map, const TileBits& kept, size_t row, StandIn stand_in,
                   int32_t first) {
  const TokenTile& q = map.q.tiles[static_cast<size_t>(map.q.grid_begin) + row];
  const size_t count = kept.Count();
  const auto drops = [&kept, row](size_t tile) { return !kept.Has(row, tile); };
  bool any = false;
  for (size_t tile = 0; tile < count; ++tile) any = any || drops(tile);
  for (size_t begin = 0; any && begin < count; begin += kTileTokens) {
    TileMask mask{};
    int seen = 0;
    for (size_t j = begin; j < std::min(count, begin + kTileTokens); ++j) {
      if (stand_in == StandIn::kAllTiles ? j != row : !drops(j)) continue;
      mask[j - begin] = ~uint64_t{0};
      ++seen;
    }
    if (seen == 0) continue;
    const int32_t tile = first + static_cast<int32_t>(begin / kTileTokens);
    map.visits.push_back({tile, static_cast<int32_t>(map.masks.size())});
    map.masks.push_back(mask);
    map.pairs += int64_t{q.count} * seen;
    map.visited_pairs += int64_t{q.count} * map.kv.tiles[static_cast<size_t>(tile)].count;
  }
}

}  // namespace

TileMap MapOfBits(const TokenTiles& tiles, const TileBits& kept, StandIn stand_in) {
  TileMap map;
  map.q = map.kv = tiles;
  const auto own = static_cast<int32_t>(tiles.tiles.size());
  if (stand_in != StandIn::kNone) {
    const auto tokens = static_cast<int32_t>(tiles.tokens.size());
    const TokenTiles extra = CutIntoRuns(static_cast<int>(kept.Count()));
    for (TokenTile tile : extra.tiles) {
      tile.begin += tokens;
      map.kv.tiles.push_back(tile);
    }
    for (const int32_t token : extra.tokens) map.kv.tokens.push_back(tokens + token);
  }
  for (int32_t i = 0; i < own; ++i) {
    const TokenTile& q = map.q.tiles[static_cast<size_t>(i)];
    const auto begin = static_cast<int64_t>(map.visits.size());
    const int32_t grid = tiles.grid_begin;
    for (int32_t j = 0; j < own; ++j) {
      if (!q.grid || j < grid ||
          kept.Has(static_cast<size_t>(i - grid), static_cast<size_t>(j - grid))) {
        Visit(map, q, j);
      }
    }
    if (q.grid && stand_in != StandIn::kNone) {
      VisitStandIns(map, kept, static_cast<size_t>(i - grid), stand_in, own);
    }
    map.rows.push_back({begin, static_cast<int64_t>(map.visits.size())});
  }
  return map;
}

TileMap MapOfKeys(const TokenTiles& tiles, const KeyBits& kept) {
  TileMap map;
  map.q = map.kv = tiles;
  const auto all = static_cast<int32_t>(tiles.tiles.size());
  const int32_t grid = tiles.grid_begin;
  for (int32_t i = 0; i < all; ++i) {
    const TokenTile& q = tiles.tiles[static_cast<size_t>(i)];
    const auto begin = static_cast<int64_t>(map.visits.size());
    std::vector<TileMap::Visit> partial;
    for (int32_t j = 0; j < all; ++j) {
      const int32_t count = tiles.tiles[static_cast<size_t>(j)].count;
      const uint64_t whole = ~uint64_t{0} >> (kTileTokens - count);
      const bool text = !q.grid || j < grid;
      const uint64_t columns =
          text ? whole
               : whole & kept.Columns(static_cast<size_t>(i - grid), static_cast<size_t>(j - grid));
      if (columns == whole) {
        Visit(map, q, j);
      } else if (columns != 0) {
        partial.push_back({j, static_cast<int32_t>(map.masks.size())});
        map.masks.emplace_back();
        for (int32_t key = 0; key < count; ++key) {
          if ((columns >> key & 1) == 0) continue;
          map.masks.back()[static_cast<size_t>(key)] = ~uint64_t{0};
          map.pairs += q.count;
        }
        map.visited_pairs += int64_t{q.count} * count;
      }
    }
    map.visits.insert(map.visits.end(), partial.begin(), partial.end());
    map.rows.push_back({begin, static_cast<int64_t>(map.visits.size())});
  }
  return map;
}

FoldedKeys StandInTokens(const TokenTiles& tiles, const TileBits& kept, StandIn stand_in) {
  FoldedKeys folded;
  const size_t grid = static_cast<size_t>(tiles.grid_begin);
  for (size_t i = 0; i < kept.Count(); ++i) {
    for (size_t j = 0; j < kept.Count(); ++j) {
      if (stand_in == StandIn::kAllTiles ? kept.Has(i, j) : i != j) continue;
      const TokenTile& tile = tiles.tiles[grid + j];
      const auto from = tiles.tokens.begin() + tile.begin;
      folded.tokens.insert(folded.tokens.end(), from, from + tile.count);
    }
    folded.begin.push_back(static_cast<int32_t>(folded.tokens.size()));
    const auto tokens = static_cast<size_t>(folded.begin[i + 1] - folded.begin[i]);
    folded.weights.insert(folded.weights.end(), tokens, 1.0f / static_cast<float>(tokens));
  }
  return folded;
}

std::vector<float> StandInTerms(const FoldedKeys& folded) {
  std::vector<float> terms;
  for (size_t i = 0; i + 1 < folded.begin.size(); ++i) {
    const int32_t tokens = folded.begin[i + 1] - folded.begin[i];
    terms.push_back(tokens == 0 ? 0 : static_cast<float>(std::log(double(tokens))));
  }
  return terms;
}

void FoldCpu(const Tensor& x, const FoldedKeys& folded, const Tensor& out) {
  const auto count = static_cast<int64_t>(folded.begin.size()) - 1;
  const int64_t heads = x.shape[2], d = x.shape[3];
  const bool bf16 = x.dtype == DType::kBF16;
  ParallelFor(x.shape[0] * heads * count, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> sum(static_cast<size_t>(d));
    for (int64_t job = begin; job < end; ++job) {
      const int64_t key = job % count, head = job / count % heads, b = job / count / heads;
      const auto first = static_cast<size_t>(folded.begin[static_cast<size_t>(key)]);
      const auto last = static_cast<size_t>(folded.begin[static_cast<size_t>(key) + 1]);
      std::fill(sum.begin(), sum.end(), 0.0);
      for (size_t i = first; i < last; ++i) {
        const int64_t row = b * x.stride[0] + folded.tokens[i] * x.stride[1] + head * x.stride[2];
        for (int64_t c = 0; c < d; ++c) {
          sum[static_cast<size_t>(c)] += double(LoadElement(x.data, row + c, bf16));
        }
      }
      const int64_t to = b * out.stride[0] + key * out.stride[1] + head * out.stride[2];
      const double tokens = std::max<double>(1, double(last - first));
      for (int64_t c = 0; c < d; ++c) {
        StoreElement(out.data, to + c, bf16,
                     static_cast<float>(sum[static_cast<size_t>(c)] / tokens));
      }
    }
  });
}

}  // namespace fovea
