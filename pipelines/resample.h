// Resizing of 8-bit pictures: Pillow's LANCZOS, byte for byte, since that is what diffusers resizes
// pictures and masks with.
//
// A windowed sinc (Lanczos, three lobes) that widens when shrinking, so nothing aliases; rows
// first, then columns, rounded to 8 bits after each. Weights are fixed-point numbers of 22 bits.
#pragma once

#include "pipelines/image.h"

namespace fovea {

// Any sizes from 1 on; the same size gives a copy.
Image ResizeLanczos(const Image& image, int width, int height);

}  // namespace fovea
