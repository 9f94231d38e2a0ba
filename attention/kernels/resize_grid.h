// Bicubic resizing of token grids.
//
// Keys (1981) with a = -0.75, half-pixel centres, clamped borders, no antialiasing: PyTorch's
// interpolate(mode="bicubic", align_corners=False).
#pragma once

#include "tensor/context.h"

namespace fovea {

// x (b, height * width, heads, d) -> out (b, out_height * out_width, heads, d), both row-major
// grids, f32 or bf16 alike, strided.
void ResizeGrid(Context& ctx, const Tensor& x, int height, int width, const Tensor& out,
                int out_height, int out_width);

}  // namespace fovea
