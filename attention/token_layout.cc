#include "attention/token_layout.h"

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

}  // namespace fovea
