// Matrix product with a weight and a fused epilogue.
#pragma once

#include "tensor/context.h"

namespace fovea::ops {

// x (.., in), weight (out, in) -> out (.., out): act(x Wᵀ + bias) + residual. Rows of x and out may
// be strided, the last axis is dense. FLOPs: 2 rows in out. Throws kInternal on shape mismatch.
void Linear(Context& ctx, const Tensor& x, const Weight& weight, const Tensor& out,
            const Epilogue& epilogue = {});

}  // namespace fovea::ops
