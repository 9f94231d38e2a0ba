// Group normalisation over (h,w,c/groups), with what usually surrounds it fused in.
#pragma once

#include "tensor/context.h"

namespace fovea::ops {

// x, out (n,h,w,c) or (n,t,c), contiguous; out may be x. Formula at GroupNormParams (backend.h).
// Statistics in f32 with a two-pass or pairwise scheme; biased variance, as PyTorch.
void GroupNorm(Context& ctx, const Tensor& x, const GroupNormParams& params, const Tensor& out);

}  // namespace fovea::ops
