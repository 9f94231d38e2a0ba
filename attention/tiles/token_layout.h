// What the tokens of a sequence are, in order.
#pragma once

#include <array>
#include <vector>

namespace fovea {

enum class SegmentKind : unsigned char { kText, kClass, kRegister, kGrid };

struct Segment {
  SegmentKind kind = SegmentKind::kGrid;
  int begin = 0, length = 0;
  std::array<int, 3> grid{1, 1, 1};  // frames, height, width of a kGrid segment, row-major
};

// The model says the order: FLUX is text first, SD3 image first, a ViT class token first.
using TokenLayout = std::vector<Segment>;

TokenLayout GridLayout(int height, int width);
TokenLayout TextLayout(int tokens);
int TokenCount(const TokenLayout& layout);
bool SameLayout(const TokenLayout& a, const TokenLayout& b);

}  // namespace fovea
