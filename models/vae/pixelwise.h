// The elementwise steps of the VAE that no operation of tensor/ covers: clamping and blending.
//
// f32 tensors; on a planning backend they do nothing. On a GPU clamping goes by way of the host,
// and blending throws kUnsupported.
#pragma once

#include <cstdint>

#include "tensor/context.h"

namespace fovea {

// x = min(max(x, low), high); contiguous.
void ClampInPlace(Context& ctx, const Tensor& x, float low, float high);

// Fades `before` into the beginning of `x` along `axis`: with e the extent of `before`,
// x[y] = before[y] * (1 - y / e) + x[y] * (y / e) for y < e. Rank 4, same other extents, any
// strides.
void BlendInto(Context& ctx, const Tensor& before, int axis, const Tensor& x);

}  // namespace fovea
