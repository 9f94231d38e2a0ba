// What becomes of one head's output: interpolated with its values, with their mean, with another
// attention. The arithmetic of perturbed heads (attention/heads/perturbation.h).
//
// Memory-bound. Tensors are (b,t,heads,d), f32 or bf16 alike, strided, the last axis dense; sums
// are f32. A factor of zero leaves its term out, so that NaN in what is not wanted stays away.
#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "tensor/context.h"

namespace fovea {

// Queries [begin, end) of a sequence.
struct RowRange {
  int64_t begin = 0, end = std::numeric_limits<int64_t>::max();
  bool Holds(int64_t row) const { return row >= begin && row < end; }
};

// Of one head of one sample, on `rows`: a * attention + b * v + e * mean of v over all tokens; v
// has a row for each query. Identity (b = 1), uniform (e = 1) and interpolated heads.
struct HeadMix {
  float a = 1, b = 0, e = 0;
  RowRange rows = {};
  bool IsPlain() const { return a == 1 && b == 0 && e == 0; }
};

// out = a * out + b * v + e * mean of v, by `mix` (b * heads). What TileAttention does in its
// epilogue, for operators that do not end with it.
void ApplyHeadMix(Context& ctx, std::span<const HeadMix> mix, const Tensor& v, const Tensor& out);

// out = (1 - share) * out + share * x on `rows`; share 1 copies. x (b,t,heads,d), or (b,1,heads,d):
// one row for all queries.
void BlendHeads(Context& ctx, const Tensor& x, float share, const RowRange& rows,
                const Tensor& out);

}  // namespace fovea
