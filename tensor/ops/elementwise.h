// Sums and copies.
#pragma once

#include "tensor/context.h"

namespace fovea::ops {

// out = a + b, same shapes; out may be a or b.
void Add(Context& ctx, const Tensor& a, const Tensor& b, const Tensor& out);
// out += x * gate: x, out (n,t,c), gate (n,c), one row a sample.
void GatedAdd(Context& ctx, const Tensor& x, const Tensor& gate, const Tensor& out);
// Same shape, any strides; converts among f32, bf16 and f16; crosses host and device. A source on
// the host may end or change as soon as this returns; a destination on the host is written after
// Backend::Synchronize.
void Copy(Context& ctx, const Tensor& src, const Tensor& dst);

}  // namespace fovea::ops
