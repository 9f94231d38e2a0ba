// Queries made alike: what smoothed and mean-query attention ask with.
//
// Hong, "Smoothed Energy Guidance" (2024), arXiv:2408.00760. Memory-bound but for wide blurs: 2 k
// multiply-adds a value for k taps on an axis. q, out (b,t,heads,d), f32 or bf16 alike, strided,
// the last axis dense; sums are f32, means f64.
#pragma once

#include "attention/tiles/token_layout.h"
#include "tensor/context.h"

namespace fovea {

// Each frame of the grid blurred by a separable Gaussian of `sigma` tokens, borders mirrored
// without their own row. Taps on an axis of n tokens: the odd number at or above 6 sigma, at most n
// (n odd) or n + 1. sigma above 9999: every query of the grid becomes the mean of its frame. Other
// tokens as they are.
void BlurQueries(Context& ctx, const Tensor& q, const Segment& grid, double sigma,
                 const Tensor& out);

// The mean of all tokens' queries: out (b,1,heads,d), or (b,t,heads,d): in every row.
void MeanQuery(Context& ctx, const Tensor& q, const Tensor& out);

}  // namespace fovea
