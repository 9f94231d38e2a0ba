// A sequence cut into tiles of at most 64 tokens: small boxes of the grid, and runs of other
// tokens.
//
// The order matters more than the kernel: 8x8 boxes of an image visit about half the tiles that
// rows of 64 do (see bench/). Tiles at the far borders hold fewer tokens; no padding is added.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "attention/tiles/token_layout.h"

namespace fovea {

inline constexpr int kTileTokens = 64;

struct TokenTile {
  int32_t begin = 0, count = 0;  // in TokenTiles::tokens
  bool grid = false;             // a box of the grid; else text, class or register tokens
  std::array<int, 3> index{};    // of the box among boxes, by axis
  std::array<int, 3> extent{};   // of the box; its tokens are row-major
};

struct TokenTiles {
  std::vector<int32_t> tokens;        // the sequence's indices, tile by tile
  std::vector<TokenTile> tiles;       // tiles of non-grid tokens first
  int grid_begin = 0;                 // index of the first grid tile
  std::array<int, 3> grid{1, 1, 1};   // size of the grid
  std::array<int, 3> box{1, 1, 1};    // size of a whole box
  std::array<int, 3> boxes{0, 0, 0};  // number of boxes by axis; grid tiles are row-major in them
};

// The box for a grid: its shortest side doubles until it holds 64 tokens or covers the grid.
std::array<int, 3> ChooseBox(const std::array<int, 3>& grid);

// A layout with at most one grid segment, cut into boxes of `box`.
TokenTiles CutIntoTiles(const TokenLayout& layout, const std::array<int, 3>& box);
// Runs of 64 consecutive tokens, whatever they are.
TokenTiles CutIntoRuns(int tokens);

}  // namespace fovea
