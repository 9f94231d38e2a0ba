// Halo attention: blocks of queries see their block and a rim around it.
//
// Vaswani et al., "Scaling Local Self-Attention for Parameter Efficient Visual Backbones" (2021).
// Blocks begin at the origin; the last may be short. Keys are cut at the border: unlike the
// zero-padded original, nothing outside the grid takes part. Cost: 4 d (b + 2h)^2 a query inside.
#pragma once

#include "attention/attention_op.h"

namespace fovea {

const AttentionOp& HaloAttention();

}  // namespace fovea
