// Learned positions of a grid of patches, resized to the grid of another picture.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/vit/vit_config.h"

namespace fovea {

// in (h,w,c), out (H,W,c). Keys' cubic kernel (1981), half-pixel centres, as PyTorch's
// interpolate(mode="bicubic", align_corners=False) with or without `antialias`. The same size is an
// exact copy.
void ResizePositions(std::span<const float> in, int64_t h, int64_t w, int64_t c, VitResize resize,
                     int64_t out_h, int64_t out_w, std::span<float> out);

// in (maps,h,w), out (maps,H,W): PyTorch's interpolate(mode="bilinear", align_corners=False).
void ResizeBilinearMaps(std::span<const float> in, int64_t maps, int64_t h, int64_t w,
                        int64_t out_h, int64_t out_w, std::span<float> out);

}  // namespace fovea
