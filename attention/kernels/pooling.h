// Sequences made smaller: pooled keys (CLEAR) and pooled queries (agent attention).
//
// Memory-bound passes: each input element is read once per cell that covers it.
#pragma once

#include <array>

#include "attention/tiles/token_layout.h"
#include "tensor/context.h"

namespace fovea {

// Sums over non-overlapping cells of `cell` x `cell` grid tokens: x (b,t,heads,d) with a grid
// segment of one frame whose sides are multiples of `cell` -> out (b,cells,heads,d), cells
// row-major. `weights` holds cell * cell factors on the host, row-major.
void PoolCells(Context& ctx, const Tensor& x, const Segment& grid, int cell, const float* weights,
               const Tensor& out);

// PyTorch's adaptive average pooling over the grid segment: cell i of n on a side of L covers
// [floor(i L / n), ceil((i + 1) L / n)). x (b,t,heads,d) -> out (b,n0*n1*n2,heads,d).
void AdaptivePool(Context& ctx, const Tensor& x, const Segment& grid,
                  const std::array<int, 3>& cells, const Tensor& out);

}  // namespace fovea
