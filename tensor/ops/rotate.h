// Rotary positions: pairs of channels turned by angles of their token.
//
// Su et al., "RoFormer" (2021), with neighbouring channels as pairs.
#pragma once

#include "tensor/context.h"

namespace fovea::ops {

// x, out (n,t,heads,d), d even; out may be x. tables (t,2,d) f32, contiguous: of the pair (2i,
// 2i+1) turned by a, [0] holds cos a twice and [1] holds -sin a and sin a, so that out[2i] = x[2i]
// cos a - x[2i+1] sin a and out[2i+1] = x[2i+1] cos a + x[2i] sin a.
void Rotate(Context& ctx, const Tensor& x, const Tensor& tables, const Tensor& out);

}  // namespace fovea::ops
