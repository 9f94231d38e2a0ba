// A map over an image: one number for each cell of a grid, and how grids become one another.
#pragma once

#include <array>
#include <string>
#include <vector>

namespace fovea {

struct HeatMap {
  int height = 0, width = 0;
  std::vector<float> values;  // row-major
  float Min() const;
  float Max() const;
};

// PyTorch's bicubic, a = -0.75, half-pixel centres, borders repeated, no antialiasing: may leave
// the range of the values. Bilinear likewise.
HeatMap ResizeBicubic(const HeatMap& map, int height, int width);
HeatMap ResizeBilinear(const HeatMap& map, int height, int width);
HeatMap ResizeNearest(const HeatMap& map, int height, int width);

// One map of an inspection, and where in the model it comes from.
struct AttentionMap {
  std::string kind;   // "words"
  std::string layer;  // path; empty: all that were chosen
  int head = -1;      // -1: all
  int step = -1;      // -1: all
  std::string word;   // or what else tells maps of one kind apart
  HeatMap map;
  bool is_signed = false;              // zero means something: shown in two colours
  std::array<double, 2> mark{-1, -1};  // a place, from 0 to 1 down and across; below 0: none
};

}  // namespace fovea
