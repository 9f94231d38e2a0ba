// Generalized neighborhood attention: windows that shift inside the grid, with stride and dilation.
//
// Hassani et al., "Neighborhood Attention Transformer" (2023) and "Generalized Neighborhood
// Attention" (2025). Per axis, with g = i mod d, i' = i div d, L' the length of residue class g:
//   leader = min((i' div s) s + s div 2, L'-1), start = clamp(leader - w div 2, 0, L'-w),
//   keys [start, start + w); causal: leader = min((i' div s) s + s-1, L'-1),
//   keys [max(leader - w+1, 0), i'].
// Every non-causal query has the same number of keys. w is cut to L div d, s to w.
// Cost: 4 d times the product of the windows a query.
#pragma once

#include "attention/attention_op.h"

namespace fovea {

const AttentionOp& GeneralizedNeighborhoodAttention();

}  // namespace fovea
