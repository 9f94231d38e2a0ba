// Normalisation by the root of the mean square over the last axis (Zhang and Sennrich, 2019).
#pragma once

#include "tensor/context.h"

namespace fovea::ops {

// x / sqrt(mean(x^2) + eps) * gamma. x, out (.., c); out may be x. gamma (c) f32, or empty for
// none.
void RmsNorm(Context& ctx, const Tensor& x, const Tensor& gamma, float eps, const Tensor& out);

}  // namespace fovea::ops
