// Two-dimensional convolution, channels-last.
#pragma once

#include "tensor/context.h"

namespace fovea::ops {

// x (n,h,w,in), weight (out, in, kh, kw) -> out (n,H,W,out) with
// H = (h + pad_top + pad_bottom - dilation (kh - 1) - 1) / stride + 1. The last axis of x and out
// is dense; pixels may be strided (a slice of channels). FLOPs: 2 n H W out in kh kw.
void Conv2d(Context& ctx, const Tensor& x, const Weight& weight, const Conv2dParams& params,
            const Tensor& out, const Epilogue& epilogue = {});

}  // namespace fovea::ops
