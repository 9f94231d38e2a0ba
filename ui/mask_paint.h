// A mask that is painted with a brush: which part of a picture is made anew.
#pragma once

#include <cstdint>
#include <vector>

#include "pipelines/pictures/image.h"

namespace fovea {

struct MaskPaint {
  int width = 0, height = 0;
  std::vector<uint8_t> white;  // row-major: 1 is made anew
};

// An empty mask for a picture of this size: its proportions, up to 384 cells a side.
MaskPaint EmptyMask(int picture_width, int picture_height);
// A given mask, white where it is at least half white.
MaskPaint MaskOf(const Image& image, int picture_width, int picture_height);
Image ImageOf(const MaskPaint& mask);  // black and white
bool IsEmpty(const MaskPaint& mask);

// A stroke of a round brush from (x0,y0) to (x1,y1), in cells, their middles at halves.
void PaintStroke(float x0, float y0, float x1, float y1, float radius, bool white, MaskPaint* mask);
void InvertMask(MaskPaint* mask);

}  // namespace fovea
