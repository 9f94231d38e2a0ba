#include "attention/tiles/token_tiles.h"

#include <algorithm>

#include "tensor/error.h"

namespace fovea {
namespace {

void AddRuns(int begin, int length, TokenTiles* tiles) {
  for (int offset = 0; offset < length; offset += kTileTokens) {
    TokenTile tile;
    tile.begin = static_cast<int32_t>(tiles->tokens.size());
    tile.count = std::min(kTileTokens, length - offset);
    for (int i = 0; i < tile.count; ++i) tiles->tokens.push_back(begin + offset + i);
    tiles->tiles.push_back(tile);
  }
}

void AddBoxes(const Segment& segment, TokenTiles* tiles) {
  const auto& [frames, height, width] = segment.grid;
  const auto& box = tiles->box;
  for (int f = 0; f < frames; f += box[0]) {
    for (int y = 0; y < height; y += box[1]) {
      for (int x = 0; x < width; x += box[2]) {
        TokenTile tile;
        tile.begin = static_cast<int32_t>(tiles->tokens.size());
        tile.grid = true;
        tile.index = {f / box[0], y / box[1], x / box[2]};
        tile.extent = {std::min(box[0], frames - f), std::min(box[1], height - y),
                       std::min(box[2], width - x)};
        for (int i = f; i < f + tile.extent[0]; ++i) {
          for (int j = y; j < y + tile.extent[1]; ++j) {
            for (int k = x; k < x + tile.extent[2]; ++k) {
              tiles->tokens.push_back(segment.begin + (i * height + j) * width + k);
            }
          }
        }
        tile.count = static_cast<int32_t>(tiles->tokens.size()) - tile.begin;
        tiles->tiles.push_back(tile);
      }
    }
  }
}

}  // namespace

std::array<int, 3> ChooseBox(const std::array<int, 3>& grid) {
  std::array<int, 3> box{1, 1, 1};
  while (box[0] * box[1] * box[2] < kTileTokens) {
    int shortest = -1;
    for (int axis = 2; axis >= 0; --axis) {  // ties go to the innermost axis: longer runs of memory
      const size_t a = static_cast<size_t>(axis);
      if (box[a] < grid[a] && (shortest < 0 || box[a] < box[static_cast<size_t>(shortest)])) {
        shortest = axis;
      }
    }
    if (shortest < 0) break;
    box[static_cast<size_t>(shortest)] *= 2;
  }
  return box;
}

TokenTiles CutIntoTiles(const TokenLayout& layout, const std::array<int, 3>& box) {
  TokenTiles tiles;
  tiles.box = box;
  const Segment* grid = nullptr;
  for (const Segment& segment : layout) {
    if (segment.kind != SegmentKind::kGrid) {
      AddRuns(segment.begin, segment.length, &tiles);
      continue;
    }
    ENSURE(grid == nullptr, "a layout with two grids");
    ENSURE(segment.length == segment.grid[0] * segment.grid[1] * segment.grid[2]);
    grid = &segment;
  }
  tiles.grid_begin = static_cast<int>(tiles.tiles.size());
  if (grid != nullptr) {
    tiles.grid = grid->grid;
    for (size_t a = 0; a < 3; ++a) tiles.boxes[a] = (grid->grid[a] + box[a] - 1) / box[a];
    AddBoxes(*grid, &tiles);
  }
  return tiles;
}

TokenTiles CutIntoRuns(int tokens) {
  TokenTiles tiles;
  AddRuns(0, tokens, &tiles);
  tiles.grid_begin = static_cast<int>(tiles.tiles.size());
  return tiles;
}

}  // namespace fovea
