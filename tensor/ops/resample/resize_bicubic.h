// Bicubic resizing, channels-last.
#pragma once

#include "tensor/context.h"

namespace fovea::ops {

// x (n,h,w,c) -> out (n,H,W,c), strided, the last axis dense. Keys (1981) with a = -0.75,
// half-pixel centres, clamped borders, no antialiasing: PyTorch's interpolate(mode="bicubic",
// align_corners=False) with a size.
void ResizeBicubic(Context& ctx, const Tensor& x, const Tensor& out);

}  // namespace fovea::ops
