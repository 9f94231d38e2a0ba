#include "app/studio/plan_preview.h"

#include <algorithm>

#include "attention/attention_op.h"
#include "attention/plans/plan.h"
#include "attention/tiles/tile_map.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr size_t kMostTiles = 128;  // a side of the picture

bool MaskHolds(const TileMap& map, int32_t mask, int query, int key) {
  return mask < 0 ||
         ((map.masks[static_cast<size_t>(mask)][static_cast<size_t>(key)] >> query) & 1) != 0;
}

// As SiteView has it: text, grid, text.
TokenLayout LayoutOf(const SiteView& site) {
  TokenLayout layout;
  int at = 0;
  const auto add = [&](SegmentKind kind, int length, std::array<int, 3> grid) {
    if (length > 0) layout.push_back({kind, at, length, grid});
    at += length;
  };
  add(SegmentKind::kText, site.before, {1, 1, 1});
  add(SegmentKind::kGrid, site.rows * site.columns, {1, site.rows, site.columns});
  add(SegmentKind::kText, site.after, {1, 1, 1});
  return layout;
}

// Large maps are pooled: a cell then stands for several tiles and shows the most of them.
void CopyTiles(const TileMap& map, const SiteView& site, TileMapView* view) {
  const size_t tiles = map.kv.tiles.size();
  if (map.rows.size() != tiles || tiles == 0) return;
  const size_t pool = (tiles + kMostTiles - 1) / kMostTiles, cells = (tiles + pool - 1) / pool;
  view->tiles = static_cast<int>(cells);
  view->visited.assign(cells * cells, 0);
  view->text_tiles.assign(cells, 0);
  for (size_t row = 0; row < tiles; ++row) {
    for (int64_t v = map.rows[row].begin; v < map.rows[row].end; ++v) {
      const TileMap::Visit& visit = map.visits[static_cast<size_t>(v)];
      uint8_t& cell = view->visited[row / pool * cells + static_cast<size_t>(visit.tile) / pool];
      cell = std::max<uint8_t>(cell, visit.mask < 0 ? 2 : 1);
    }
    const auto first = static_cast<size_t>(map.kv.tiles[row].begin);
    const int token = map.kv.tokens[first] - site.before;
    if (token < 0 || token >= site.rows * site.columns) view->text_tiles[row / pool] = 1;
  }
}

// What the query in the middle of the grid sees.
void CopySeenKeys(const TileMap& map, const SiteView& site, TileMapView* view) {
  const int rows = view->rows, columns = view->columns, grid = rows * columns;
  view->query_row = rows / 2;
  view->query_column = columns / 2;
  view->seen.assign(static_cast<size_t>(grid), 0);
  const int query = site.before + view->query_row * columns + view->query_column;
  for (size_t t = 0; t < map.q.tiles.size(); ++t) {
    const TokenTile& tile = map.q.tiles[t];
    const auto first = map.q.tokens.begin() + tile.begin;
    const auto found = std::find(first, first + tile.count, query);
    if (found == first + tile.count) continue;
    const int lane = static_cast<int>(found - first);
    for (int64_t v = map.rows[t].begin; v < map.rows[t].end; ++v) {
      const TileMap::Visit& visit = map.visits[static_cast<size_t>(v)];
      const TokenTile& keys = map.kv.tiles[static_cast<size_t>(visit.tile)];
      for (int k = 0; k < keys.count; ++k) {
        const int32_t token = map.kv.tokens[static_cast<size_t>(keys.begin + k)];
        if (!MaskHolds(map, visit.mask, lane, k)) continue;
        const int32_t cell = token - site.before;
        if (cell >= 0 && cell < grid) {
          view->seen[static_cast<size_t>(cell)] = 1;
        } else if (token < site.tokens) {
          ++view->text_seen;
        }
      }
    }
  }
}

}  // namespace

TileMapView DescribeTileMap(const std::string& op, const SiteView& site) {
  TileMapView view;
  view.op = op;
  view.path = site.path;
  view.rows = site.rows;
  view.columns = site.columns;
  view.text_tokens = site.before + site.after;
  if (site.kind == "cross") {
    view.refusal = "cross-attention has few keys, the words; it stays dense";
    return view;
  }
  if (site.rows < 1 || site.columns < 1) {
    view.refusal = "this layer's tokens are no grid";
    return view;
  }
  try {
    const OperatorSpec spec = ParseOperator(op);
    const auto found = BindOperator(spec);
    AttentionSpec geometry;
    geometry.heads = site.heads;
    geometry.head_dim = site.head_dim;
    geometry.q = geometry.kv = LayoutOf(site);
    const Support support = found->Supports(geometry);
    if (!support.ok) {
      view.refusal = support.reason;
      return view;
    }
    const auto prepared = found->Prepare(geometry);
    if (const TileMap* map = prepared->Map(); map != nullptr) {
      view.has_map = true;
      view.density = map->Density();
      view.visited_share = map->VisitedShare();
      view.box_rows = map->q.box[1];
      view.box_columns = map->q.box[2];
      CopyTiles(*map, site, &view);
      CopySeenKeys(*map, site, &view);
    } else {
      view.density = view.visited_share = prepared->PairShare();
      view.note = spec.name == "dense" ? "every query sees every key"
                                       : std::string(FindAttentionOp(spec.name).About().what);
      if (spec.name == "dense") {
        view.seen.assign(static_cast<size_t>(site.rows * site.columns), 1);
        view.text_seen = view.text_tokens;
        view.query_row = site.rows / 2;
        view.query_column = site.columns / 2;
      }
    }
  } catch (const Error& error) {
    view.refusal = error.what();
  }
  return view;
}

}  // namespace fovea
