// Nearest-neighbour resizing, channels-last.
#pragma once

#include "tensor/context.h"

namespace fovea::ops {

// x (n,h,w,c) -> out (n,H,W,c); output row i reads input row floor(i * h / H) in f32 arithmetic, as
// PyTorch's interpolate(mode="nearest") with a size.
void UpsampleNearest(Context& ctx, const Tensor& x, const Tensor& out);

}  // namespace fovea::ops
