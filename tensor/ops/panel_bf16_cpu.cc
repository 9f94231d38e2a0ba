// The inner loop of matrix products in bf16 arithmetic: AVX512_BF16.
#include <immintrin.h>

#include <cstdint>

#include "tensor/cpu/panel_product.h"
#include "tensor/instruction_set.h"

namespace fovea {
namespace {

constexpr int64_t kStrip = PanelPlan::kStrip, kPitch = PanelPlan::kPitch;

#define FOVEA_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))

// c (kR, 2 vectors) (+)= a (kR, steps) b (steps, 2 vectors).
template <int kR>
FOVEA_BF16 void MultiplyTile(const float* __restrict a, const float* __restrict b, int64_t steps,
                             bool fresh, Upcoming& upcoming, float* __restrict c) {
  __m512 left[kR], right[kR];
#pragma GCC unroll 16
  for (int r = 0; r < kR; ++r) left[r] = right[r] = _mm512_setzero_ps();
  for (int64_t k = 0; k < steps; ++k) {
    if (k % 16 == 0) upcoming.Some();
    const auto b0 = (__m512bh)_mm512_load_ps(b + k * kStrip);
    const auto b1 = (__m512bh)_mm512_load_ps(b + k * kStrip + 16);
#pragma GCC unroll 16
    for (int r = 0; r < kR; ++r) {
      const auto value = (__m512bh)_mm512_set1_ps(a[r * kPitch + k]);
      left[r] = _mm512_dpbf16_ps(left[r], value, b0);
      right[r] = _mm512_dpbf16_ps(right[r], value, b1);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kR; ++r) {
    float* to = c + r * kStrip;
    if (!fresh) {
      left[r] = _mm512_add_ps(_mm512_load_ps(to), left[r]);
      right[r] = _mm512_add_ps(_mm512_load_ps(to + 16), right[r]);
    }
    _mm512_store_ps(to, left[r]);
    _mm512_store_ps(to + 16, right[r]);
  }
}

void MultiplyDots(const float* a, int64_t rows, const float* b, int64_t steps, bool fresh,
                  Upcoming& upcoming, float* c) {
  using TileFunction = void (*)(const float*, const float*, int64_t, bool, Upcoming&, float*);
  static constexpr TileFunction kTiles[] = {MultiplyTile<1>,  MultiplyTile<2>,  MultiplyTile<3>,
                                            MultiplyTile<4>,  MultiplyTile<5>,  MultiplyTile<6>,
                                            MultiplyTile<7>,  MultiplyTile<8>,  MultiplyTile<9>,
                                            MultiplyTile<10>, MultiplyTile<11>, MultiplyTile<12>};
  const int64_t tiles = (rows + 11) / 12;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t begin = rows * tile / tiles, end = rows * (tile + 1) / tiles;
    kTiles[end - begin - 1](a + begin * kPitch, b, steps, fresh, upcoming, c + begin * kStrip);
  }
}

}  // namespace

PanelMultiply Bf16PanelMultiply() {
  return UsedInstructionSet() == InstructionSet::kAvx512Bf16 ? MultiplyDots : nullptr;
}

}  // namespace fovea
