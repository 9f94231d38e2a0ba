// Resizing of 8-bit pictures as Pillow does it, byte for byte, since that is what diffusers and
// transformers resize with.
//
// Filters widen when shrinking, so nothing aliases. First along rows, then along columns, rounded
// to 8 bits after each; the other way round where columns shrink by more than twice as many pixels
// as rows (as Pillow 13 was seen to do in 489 of 489 sizes; older ones never did). Weights are
// fixed-point numbers of 22 bits.
#pragma once

#include "pipelines/pictures/image.h"

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
