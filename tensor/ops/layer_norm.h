// Layer normalisation over the last axis.
#pragma once

#include "tensor/context.h"

namespace fovea::ops {

// x, out (.., c); out may be x. gamma and beta are (c) f32, or empty for none.
void LayerNorm(Context& ctx, const Tensor& x, const Tensor& gamma, const Tensor& beta, float eps,
               const Tensor& out);

}  // namespace fovea::ops
