// The two products of a tile, Sᵀ = K Qᵀ and Oᵀ = Vᵀ Pᵀ, as one micro-kernel C = A B with broadcasts
// of A and lanes along queries, for an arithmetic A::MultiplyAdd on vectors of four-byte elements.
//
// Functions bear FOVEA_TILE_TARGET, the instruction set of the including file.
#include <algorithm>

#include "attention/kernels/tile/row_prefetcher.h"
#include "tensor/cpu/transpose-inl.h"

#if defined(FOVEA_TILE_PRODUCT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_TILE_PRODUCT_INL_H_
#undef FOVEA_TILE_PRODUCT_INL_H_
#else
#define FOVEA_TILE_PRODUCT_INL_H_
#endif

namespace fovea {
namespace HWY_NAMESPACE {

#if HWY_TARGET <= HWY_AVX3
inline constexpr int kMaxVecs = 4;  // 6 x 4 accumulators of 32 registers
#else
inline constexpr int kMaxVecs = 2;  // 6 x 2 of 16
#endif
inline constexpr int kMaxRows = 6;

// The broadcast side of Sᵀ = K Qᵀ: one pointer a row, wherever keys are.
struct KeyOperand {
  static constexpr bool kIsScores = true;
  const float* const* rows;
};
// The broadcast side of Oᵀ = Vᵀ Pᵀ: its columns are rows of a packed tile.
struct ValueOperand {
  static constexpr bool kIsScores = false;
  const float* first;
  int64_t stride;
};

FOVEA_TILE_TARGET inline KeyOperand Below(KeyOperand a, int64_t rows) {
  return {a.rows + rows};
}
FOVEA_TILE_TARGET inline ValueOperand Below(ValueOperand a, int64_t rows) {
  return {a.first + rows, a.stride};
}

// kR rows of C and kV vectors of its columns; rows of b and c are kTileTokens floats apart. Scores:
// c = A b, and the columns' maxima of c go into `vector`. Sums: c = vector * c + A b.
template <class A, class Operand, int kR, int kV>
FOVEA_TILE_TARGET inline void MicroKernel(Operand a, int64_t steps, const float* HWY_RESTRICT b,
                                          float* HWY_RESTRICT vector, float* HWY_RESTRICT c) {
  const F32 d;
  VF32 sum[kR][kV];
  const float* row[kR];
#pragma GCC unroll 8
  for (int r = 0; r < kR; ++r) {
    if constexpr (Operand::kIsScores) row[r] = a.rows[r];
#pragma GCC unroll 8
    for (int v = 0; v < kV; ++v) {
      if constexpr (Operand::kIsScores) {
        sum[r][v] = hn::Zero(d);
      } else {
        sum[r][v] = hn::Mul(hn::Load(d, c + r * kTileTokens + v * kLanes),
                            hn::Load(d, vector + v * kLanes));
      }
    }
  }
  for (int64_t step = 0; step < steps; ++step) {
    VF32 bv[kV];
#pragma GCC unroll 8
    for (int v = 0; v < kV; ++v) bv[v] = hn::Load(d, b + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kR; ++r) {
      VF32 av;
      if constexpr (Operand::kIsScores) {
        av = hn::Set(d, row[r][step]);
      } else {
        av = hn::Set(d, a.first[r]);
      }
#pragma GCC unroll 8
      for (int v = 0; v < kV; ++v) sum[r][v] = A::MultiplyAdd(av, bv[v], sum[r][v]);
    }
    if constexpr (!Operand::kIsScores) a.first += a.stride;
    b += kTileTokens;
  }
#pragma GCC unroll 8
  for (int v = 0; v < kV; ++v) {
    VF32 max;
    if constexpr (Operand::kIsScores) max = hn::Load(d, vector + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kR; ++r) {
      if constexpr (Operand::kIsScores) max = hn::Max(max, sum[r][v]);
      hn::Store(sum[r][v], d, c + r * kTileTokens + v * kLanes);
    }
    if constexpr (Operand::kIsScores) hn::Store(max, d, vector + v * kLanes);
  }
}

template <class A, class Operand, int kV>
FOVEA_TILE_TARGET void ProductColumns(Operand a, int64_t rows, int64_t steps, const float* b,
                                      float* vector, float* c, RowPrefetcher& prefetcher) {
  // Blocks of rows as equal as possible: short ones leave multiply-add units waiting.
  int64_t blocks = (rows + kMaxRows - 1) / kMaxRows;
  for (int64_t r = 0; r < rows; --blocks) {
    const int64_t block = (rows - r + blocks - 1) / blocks;
    prefetcher.Some();
    const Operand ar = Below(a, r);
    float* cr = c + r * kTileTokens;
    switch (block) {
      case 6:
        MicroKernel<A, Operand, 6, kV>(ar, steps, b, vector, cr);
        break;
      case 5:
        MicroKernel<A, Operand, 5, kV>(ar, steps, b, vector, cr);
        break;
      case 4:
        MicroKernel<A, Operand, 4, kV>(ar, steps, b, vector, cr);
        break;
      case 3:
        MicroKernel<A, Operand, 3, kV>(ar, steps, b, vector, cr);
        break;
      case 2:
        MicroKernel<A, Operand, 2, kV>(ar, steps, b, vector, cr);
        break;
      default:
        MicroKernel<A, Operand, 1, kV>(ar, steps, b, vector, cr);
        break;
    }
    r += block;
  }
}

// All rows of C and its first `columns` columns, rounded up to whole vectors.
template <class A, class Operand>
FOVEA_TILE_TARGET void Product(Operand a, int64_t rows, int64_t steps, int64_t columns,
                               const float* b, float* vector, float* c, RowPrefetcher& prefetcher) {
  for (int64_t column = 0; column < columns; column += kMaxVecs * kLanes) {
    const int64_t vecs = std::min<int64_t>(kMaxVecs, (columns - column + kLanes - 1) / kLanes);
    auto* kernel = vecs == 1 ? ProductColumns<A, Operand, 1> : ProductColumns<A, Operand, 2>;
    if constexpr (kMaxVecs == 4) {
      if (vecs == 3) kernel = ProductColumns<A, Operand, 3>;
      if (vecs == 4) kernel = ProductColumns<A, Operand, 4>;
    }
    kernel(a, rows, steps, b + column, vector + column, c + column, prefetcher);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea

#endif  // toggle
