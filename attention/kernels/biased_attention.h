// Attention with a learned bias on every score, and the convolution that agent attention adds.
//
// Small: one side of each product is a few dozen agents. Compute-bound on 4 d FLOPs a pair.
#pragma once

#include "attention/tiles/token_layout.h"
#include "tensor/context.h"

namespace fovea {

// out = softmax(scale * q kᵀ + bias) v. q, out (b,t,heads,d), k, v (b,n,heads,d), strided with the
// last axis dense, f32 or bf16 alike; bias (heads,t,n) f32, the last axis dense, the others of any
// stride: a bias by distance is a view whose rows begin one element earlier each. Sums are f32; the
// result does not depend on the number of threads.
void BiasedAttention(Context& ctx, const Tensor& q, const Tensor& k, const Tensor& v, float scale,
                     const Tensor& bias, const Tensor& out);

// out += conv(v) on the tokens of the grid, which has one frame: 3x3, channel by channel, zeros
// around it. v, out (b,t,heads,d) as above; weight (heads*d,1,3,3) and bias (heads*d) f32.
void AddDepthwise(Context& ctx, const Tensor& v, const Segment& grid, const Tensor& weight,
                  const Tensor& bias, const Tensor& out);

}  // namespace fovea
