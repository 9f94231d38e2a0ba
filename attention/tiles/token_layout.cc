#include "attention/tiles/token_layout.h"

#include <algorithm>

namespace fovea {

TokenLayout GridLayout(int height, int width) {
  return {{SegmentKind::kGrid, 0, height * width, {1, height, width}}};
}

TokenLayout TextLayout(int tokens) {
  return {{SegmentKind::kText, 0, tokens, {1, 1, 1}}};
}

int TokenCount(const TokenLayout& layout) {
  int count = 0;
  for (const Segment& segment : layout) count += segment.length;
  return count;
}

bool SameLayout(const TokenLayout& a, const TokenLayout& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Segment& x, const Segment& y) {
    return x.kind == y.kind && x.begin == y.begin && x.length == y.length && x.grid == y.grid;
  });
}

}  // namespace fovea
