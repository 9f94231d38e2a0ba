// Average pooling, channels-last.
#pragma once

#include "tensor/context.h"

namespace fovea::ops {

// x (n,h,w,c) -> out (n,ceil(h/2),ceil(w/2),c), strided, the last axis dense: means of 2x2 pixels.
// A window over the border is the mean of the pixels that it has, as PyTorch's avg_pool2d(2,
// ceil_mode=True).
void AveragePool2x2(Context& ctx, const Tensor& x, const Tensor& out);

}  // namespace fovea::ops
