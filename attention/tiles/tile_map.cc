#include "attention/tiles/tile_map.h"

#include <algorithm>
#include <bit>
#include <string>
#include <string_view>
#include <unordered_map>

#include "tensor/error.h"

namespace fovea {
namespace {

// What the queries of one box see, on one axis, of the keys of another.
struct AxisTile {
  int tile = 0;  // of the keys, on this axis
  bool full = false;
  std::vector<uint64_t> rows;  // by key coordinate: bits over query coordinates
};

using AxisRow = std::vector<AxisTile>;

AxisTile RelateOnAxis(const GridPattern& pattern, int axis, int q_begin, int q_end, int k_begin,
                      int k_end) {
  AxisTile relation;
  relation.full = true;
  relation.rows.resize(static_cast<size_t>(k_end - k_begin));
  bool any = false;
  for (int k = k_begin; k < k_end; ++k) {
    uint64_t bits = 0;
    for (int q = q_begin; q < q_end; ++q) {
      if (pattern.SeesAxis(axis, q, k)) bits |= uint64_t{1} << (q - q_begin);
    }
    relation.rows[static_cast<size_t>(k - k_begin)] = bits;
    any = any || bits != 0;
    relation.full = relation.full && std::popcount(bits) == q_end - q_begin;
  }
  if (!any) relation.rows.clear();
  return relation;
}

// For each box of queries on an axis, the boxes of keys that it can see.
std::vector<AxisRow> RelateAxis(const GridPattern& pattern, int axis, int length, int box) {
  const int boxes = (length + box - 1) / box;
  std::vector<AxisRow> rows(static_cast<size_t>(boxes));
  for (int q = 0; q < boxes; ++q) {
    const int q_begin = q * box, q_end = std::min(length, q_begin + box);
    const AxisReach reach = pattern.Reach(axis, q_begin, q_end);
    std::vector<bool> candidate(static_cast<size_t>(boxes));
    for (int part = 0; part < 2; ++part) {
      const int begin = std::max(0, reach.begin[part]), end = std::min(length, reach.end[part]);
      for (int k = begin / box; k * box < end; ++k) candidate[static_cast<size_t>(k)] = true;
    }
    for (int k = 0; k < boxes; ++k) {
      if (!candidate[static_cast<size_t>(k)]) continue;
      AxisTile relation =
          RelateOnAxis(pattern, axis, q_begin, q_end, k * box, std::min(length, (k + 1) * box));
      if (relation.rows.empty()) continue;
      relation.tile = k;
      rows[static_cast<size_t>(q)].push_back(std::move(relation));
    }
  }
  return rows;
}

class Builder {
 public:
  Builder(const TokenLayout& layout, const GridPattern& pattern, int extra_keys,
          const std::array<int, 3>& box)
      : pattern_(pattern) {
    map_.q = CutIntoTiles(layout, box);
    map_.kv = map_.q;
    if (extra_keys > 0) {
      extra_begin_ = static_cast<int>(map_.kv.tiles.size());
      const TokenTiles extra = CutIntoRuns(extra_keys);
      const int32_t tokens = static_cast<int32_t>(map_.q.tokens.size());
      for (TokenTile tile : extra.tiles) {
        tile.begin += tokens;
        map_.kv.tiles.push_back(tile);
      }
      for (int32_t token : extra.tokens) map_.kv.tokens.push_back(tokens + token);
    } else {
      extra_begin_ = static_cast<int>(map_.kv.tiles.size());
    }
    for (int axis = 0; axis < 3; ++axis) {
      const size_t a = static_cast<size_t>(axis);
      axes_[a] = RelateAxis(pattern, axis, map_.q.grid[a], box[a]);
    }
  }

  TileMap Build() {
    for (const TokenTile& q : map_.q.tiles) {
      partial_.clear();
      const int64_t begin = static_cast<int64_t>(map_.visits.size());
      if (q.grid) {
        AddRange(q, 0, map_.kv.grid_begin);
        AddRange(q, extra_begin_, static_cast<int>(map_.kv.tiles.size()));
        AddGrid(q);
      } else {
        AddRange(q, 0, extra_begin_);
      }
      map_.visits.insert(map_.visits.end(), partial_.begin(), partial_.end());
      map_.rows.push_back({begin, static_cast<int64_t>(map_.visits.size())});
    }
    return std::move(map_);
  }

 private:
  static constexpr int kNone = -2, kFull = -1;

  void AddRange(const TokenTile& q, int begin, int end) {
    for (int tile = begin; tile < end; ++tile) Add(q, tile, kFull);
  }

  void Add(const TokenTile& q, int tile, int mask) {
    if (mask == kNone) return;
    const int64_t pairs = int64_t{q.count} * map_.kv.tiles[static_cast<size_t>(tile)].count;
    map_.visited_pairs += pairs;
    if (mask == kFull) {
      map_.pairs += pairs;
      map_.visits.push_back({tile, mask});
    } else {
      map_.pairs += seen_[static_cast<size_t>(mask)];
      partial_.push_back({tile, mask});
    }
  }

  void AddGrid(const TokenTile& q) {
    const auto& boxes = map_.kv.boxes;
    for (const AxisTile& f : axes_[0][static_cast<size_t>(q.index[0])]) {
      for (const AxisTile& y : axes_[1][static_cast<size_t>(q.index[1])]) {
        for (const AxisTile& x : axes_[2][static_cast<size_t>(q.index[2])]) {
          const int tile = map_.kv.grid_begin + (f.tile * boxes[1] + y.tile) * boxes[2] + x.tile;
          Add(q, tile, Mask(q, map_.kv.tiles[static_cast<size_t>(tile)], {&f, &y, &x}));
        }
      }
    }
  }

  // The mask's index, kFull or kNone.
  int Mask(const TokenTile& q, const TokenTile& k, const std::array<const AxisTile*, 3>& axes) {
    const bool axes_full = axes[0]->full && axes[1]->full && axes[2]->full;
    if (pattern_.Separable() && axes_full) return kFull;
    if (WithinGranules()) {
      return pattern_.SeesPoint(Origin(q), Origin(k)) ? kFull : kNone;
    }
    const bool whole = q.extent == map_.q.box && k.extent == map_.q.box;
    std::string key;
    if (pattern_.OffsetOnly() && whole) {
      for (size_t a = 0; a < 3; ++a) key += std::to_string(k.index[a] - q.index[a]) + ' ';
      if (const auto found = by_offset_.find(key); found != by_offset_.end()) return found->second;
    }
    const int mask = Intern(Compute(q, k, axes), q.count, k.count);
    if (!key.empty()) by_offset_.emplace(std::move(key), mask);
    return mask;
  }

  // Whether every box lies inside one granule: then one pair of points answers for two boxes.
  bool WithinGranules() const {
    const auto granule = pattern_.Granule();
    for (size_t a = 0; a < 3; ++a) {
      if (granule[a] % map_.q.box[a] != 0) return false;
    }
    return !pattern_.Separable();
  }

  GridPoint Origin(const TokenTile& tile) const {
    GridPoint point;
    for (size_t a = 0; a < 3; ++a) point[a] = tile.index[a] * map_.q.box[a];
    return point;
  }

  TileMask Compute(const TokenTile& q, const TokenTile& k,
                   const std::array<const AxisTile*, 3>& axes) const {
    TileMask mask{};
    size_t row = 0;
    for (int kf = 0; kf < k.extent[0]; ++kf) {
      for (int ky = 0; ky < k.extent[1]; ++ky) {
        for (int kx = 0; kx < k.extent[2]; ++kx, ++row) {
          const uint64_t f_bits = axes[0]->rows[static_cast<size_t>(kf)];
          const uint64_t y_bits = axes[1]->rows[static_cast<size_t>(ky)];
          const uint64_t x_bits = axes[2]->rows[static_cast<size_t>(kx)];
          uint64_t bits = 0;
          for (int qf = 0; qf < q.extent[0]; ++qf) {
            if (((f_bits >> qf) & 1) == 0) continue;
            for (int qy = 0; qy < q.extent[1]; ++qy) {
              if (((y_bits >> qy) & 1) == 0) continue;
              bits |= x_bits << ((qf * q.extent[1] + qy) * q.extent[2]);
            }
          }
          mask[row] = pattern_.Separable() ? bits : Filter(q, k, bits, {kf, ky, kx});
        }
      }
    }
    return mask;
  }

  // Keeps of `bits` the queries that see this key as a point.
  uint64_t Filter(const TokenTile& q, const TokenTile& k, uint64_t bits,
                  const GridPoint& inside) const {
    const auto& box = map_.q.box;
    GridPoint key;
    for (size_t a = 0; a < 3; ++a) key[a] = k.index[a] * box[a] + inside[a];
    for (uint64_t rest = bits; rest != 0; rest &= rest - 1) {
      const int i = std::countr_zero(rest);
      const GridPoint query{q.index[0] * box[0] + i / (q.extent[1] * q.extent[2]),
                            q.index[1] * box[1] + i / q.extent[2] % q.extent[1],
                            q.index[2] * box[2] + i % q.extent[2]};
      if (!pattern_.SeesPoint(query, key)) bits &= ~(uint64_t{1} << i);
    }
    return bits;
  }

  int Intern(const TileMask& mask, int queries, int keys) {
    int64_t seen = 0;
    for (int j = 0; j < keys; ++j) seen += std::popcount(mask[static_cast<size_t>(j)]);
    if (seen == 0) return kNone;
    if (seen == int64_t{queries} * keys) return kFull;
    const std::string_view bytes(reinterpret_cast<const char*>(mask.data()), sizeof mask);
    const auto [found, added] =
        by_bits_.emplace(std::string(bytes), static_cast<int>(map_.masks.size()));
    if (added) {
      map_.masks.push_back(mask);
      seen_.push_back(seen);
    }
    return found->second;
  }

  const GridPattern& pattern_;
  TileMap map_;
  int extra_begin_ = 0;
  std::array<std::vector<AxisRow>, 3> axes_;
  std::vector<TileMap::Visit> partial_;
  std::vector<int64_t> seen_;  // pairs of each mask
  std::unordered_map<std::string, int> by_offset_, by_bits_;
};

}  // namespace

TileMap DenseTileMap(int queries, int keys, bool causal) {
  TileMap map;
  map.q = CutIntoRuns(queries);
  map.kv = CutIntoRuns(keys);
  const int64_t tiles = static_cast<int64_t>(map.kv.tiles.size());
  if (!causal) {
    for (int32_t tile = 0; tile < tiles; ++tile) map.visits.push_back({tile, -1});
    map.rows.assign(map.q.tiles.size(), {0, tiles});
    map.pairs = map.visited_pairs = map.AllPairs();
    return map;
  }
  map.masks.emplace_back();
  for (size_t j = 0; j < kTileTokens; ++j) map.masks[0][j] = ~uint64_t{0} << j;
  for (size_t q = 0; q < map.q.tiles.size(); ++q) {
    const int64_t begin = static_cast<int64_t>(map.visits.size());
    for (size_t kv = 0; kv < map.kv.tiles.size() && kv <= q; ++kv) {
      const int64_t rows = map.q.tiles[q].count, columns = map.kv.tiles[kv].count;
      map.visits.push_back({static_cast<int32_t>(kv), kv == q ? 0 : -1});
      map.visited_pairs += rows * columns;
      for (int64_t i = 0; i < rows; ++i) map.pairs += kv == q ? std::min(i + 1, columns) : columns;
    }
    map.rows.push_back({begin, static_cast<int64_t>(map.visits.size())});
  }
  return map;
}

TileMap BlockTileMap(const TokenLayout& layout, int block, const std::vector<uint8_t>& kept) {
  ENSURE(block % kTileTokens == 0);
  TokenLayout runs;  // the grid as a line, cut into runs of 64
  int blocks = 0;
  for (Segment segment : layout) {
    if (segment.kind == SegmentKind::kGrid) {
      segment.grid = {1, 1, segment.length};
      blocks = segment.length / block;
    }
    runs.push_back(segment);
  }
  ENSURE(kept.size() == static_cast<size_t>(blocks) * static_cast<size_t>(blocks));
  TileMap map;
  map.q = CutIntoTiles(runs, {1, 1, kTileTokens});
  map.kv = map.q;
  for (const TokenTile& q : map.q.tiles) {
    const int64_t begin = static_cast<int64_t>(map.visits.size());
    for (size_t tile = 0; tile < map.kv.tiles.size(); ++tile) {
      const TokenTile& k = map.kv.tiles[tile];
      const int row = q.index[2] * kTileTokens / block, column = k.index[2] * kTileTokens / block;
      if (q.grid && k.grid && kept[static_cast<size_t>(row * blocks + column)] == 0) continue;
      map.visits.push_back({static_cast<int32_t>(tile), -1});
      map.pairs += int64_t{q.count} * k.count;
    }
    map.rows.push_back({begin, static_cast<int64_t>(map.visits.size())});
  }
  map.visited_pairs = map.pairs;
  return map;
}

TileMap BuildTileMap(const TokenLayout& layout, const GridPattern& pattern, int extra_keys,
                     std::array<int, 3> box) {
  if (box[0] == 0) {
    for (const Segment& segment : layout) {
      if (segment.kind == SegmentKind::kGrid) box = ChooseBox(segment.grid);
    }
  }
  ENSURE(box[0] > 0 && box[0] * box[1] * box[2] <= kTileTokens, "a layout without a grid");
  return Builder(layout, pattern, extra_keys, box).Build();
}

double TileMaps::MeanPairs() const {
  if (each.empty()) return planned_pairs;
  double sum = 0;
  for (const auto& map : each) sum += static_cast<double>(map->pairs);
  return sum / static_cast<double>(each.size());
}

double TileMaps::MeanVisitedPairs() const {
  if (each.empty()) return planned_pairs;
  double sum = 0;
  for (const auto& map : each) sum += static_cast<double>(map->visited_pairs);
  return sum / static_cast<double>(each.size());
}

}  // namespace fovea
