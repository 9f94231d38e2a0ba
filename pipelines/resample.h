// Resizing of 8-bit pictures as Pillow does it, byte for byte, since that is what diffusers and
// transformers resize with.
//
// Filters widen when shrinking, so nothing aliases; rows first, then columns, rounded to 8 bits
// after each. Weights are fixed-point numbers of 22 bits.
#pragma once

#include "pipelines/image.h"

namespace fovea {

// Pillow's filters under its numbers, which preprocessor_config.json gives as `resample`.
enum class ResampleFilter {
  kNearest = 0,
  kLanczos = 1,  // three lobes: of diffusers
  kBilinear = 2,
  kBicubic = 3,  // a = -0.5
  kBox = 4,
  kHamming = 5,
};

// Any sizes from 1 on; the same size gives a copy.
Image Resize(const Image& image, int width, int height, ResampleFilter filter);
Image ResizeLanczos(const Image& image, int width, int height);

}  // namespace fovea
