// Layer normalisation over the last axis.
#pragma once

#include "tensor/context.h"

namespace fovea::ops {

// x, out (.., c); out may be x. gamma and beta are (c) f32, or empty for none.
void LayerNorm(Context& ctx, const Tensor& x, const Tensor& gamma, const Tensor& beta, float eps,
               const Tensor& out);

// (norm(x) * gamma + beta) * (1 + scale) + shift, as adaLN does: x, out (n,t,c), scale and shift
// (n,c) of x's dtype, whose last axis is dense; gamma and beta may be empty; out may be x.
void ModulatedLayerNorm(Context& ctx, const Tensor& x, const LayerNormParams& params,
                        const Tensor& out);

}  // namespace fovea::ops
