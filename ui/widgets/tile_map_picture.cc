#include "ui/widgets/tile_map_picture.h"

#include <algorithm>
#include <cmath>

#include "ui/widgets/controls.h"

namespace fovea {
namespace {

// Runs of equal cells are one rectangle: maps have up to 65536 cells, and few runs.
template <class Colour>
void DrawCells(Frame& frame, int rows, int columns, float side, const Colour& colour_of) {
  const ImVec2 at = ImGui::GetCursorScreenPos();
  ImDrawList& draw = *ImGui::GetWindowDrawList();
  const float cell = std::min(side / static_cast<float>(rows), side / static_cast<float>(columns));
  draw.AddRectFilled(
      at, {at.x + cell * static_cast<float>(columns), at.y + cell * static_cast<float>(rows)},
      frame.look.palette.raised);
  const float gap = cell >= frame.look.Px(6) ? frame.look.Px(1) : 0;
  for (int row = 0; row < rows; ++row) {
    const float y = at.y + cell * static_cast<float>(row);
    for (int begin = 0; begin < columns;) {
      const ImU32 colour = colour_of(row, begin);
      int end = begin + 1;
      while (gap == 0 && end < columns && colour_of(row, end) == colour) ++end;
      if ((colour & IM_COL32_A_MASK) != 0) {
        draw.AddRectFilled({at.x + cell * static_cast<float>(begin), y},
                           {at.x + cell * static_cast<float>(end) - gap, y + cell - gap}, colour);
      }
      begin = end;
    }
  }
}

}  // namespace

void DrawSeenKeys(Frame& frame, const TileMapView& map, float side) {
  const Palette& p = frame.look.palette;
  const ImVec2 at = ImGui::GetCursorScreenPos();
  if (!map.seen.empty()) {
    DrawCells(frame, map.rows, map.columns, side, [&](int row, int column) {
      const bool seen = map.seen[static_cast<size_t>(row * map.columns + column)] != 0;
      return seen ? WithAlpha(p.accent, 0.75f) : IM_COL32(0, 0, 0, 0);
    });
    const float cell =
        std::min(side / static_cast<float>(map.rows), side / static_cast<float>(map.columns));
    const float x = at.x + cell * static_cast<float>(map.query_column);
    const float y = at.y + cell * static_cast<float>(map.query_row);
    ImGui::GetWindowDrawList()->AddRectFilled({x, y}, {x + cell, y + cell}, p.warn);
  }
  ImGui::Dummy({side, side});
  frame.Mark("attention.seen");
  Tip(frame,
      "The token grid of this layer: the query in the middle (yellow) sees the keys that "
      "are filled.");
}

void DrawVisits(Frame& frame, const TileMapView& map, float side) {
  const Palette& p = frame.look.palette;
  if (map.tiles > 0) {
    DrawCells(frame, map.tiles, map.tiles, side, [&](int row, int column) -> ImU32 {
      const uint8_t visit = map.visited[static_cast<size_t>(row * map.tiles + column)];
      const auto text = [&](int tile) {
        return !map.text_tiles.empty() && map.text_tiles[static_cast<size_t>(tile)] != 0;
      };
      const ImU32 colour = text(row) || text(column) ? p.accent : p.good;
      return visit == 2 ? colour : visit == 1 ? WithAlpha(colour, 0.4f) : IM_COL32(0, 0, 0, 0);
    });
  }
  ImGui::Dummy({side, side});
  frame.Mark("attention.visits");
  Tip(frame,
      "Tiles of up to 64 tokens: a row of queries visits the columns of keys that are "
      "coloured, all pairs of them (strong) or some (weak). Tiles of text, which joint attention "
      "has beside the picture, have the other colour.");
}

}  // namespace fovea
