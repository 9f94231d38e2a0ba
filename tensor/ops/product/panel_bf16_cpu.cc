// The inner loops of matrix products in bf16 arithmetic: AMX's tiles, or AVX512_BF16's dot products
// on the processors where they pay.
//
// On Zen 4 a dot product does twice the work of an f32 multiply-add, on Intel's processors half of
// it; those have AMX instead, which does eight times the work.
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

#include "hwy/targets.h"
#include "tensor/cpu/panel_product.h"
#include "tensor/machine/instruction_set.h"

namespace fovea {
namespace {

constexpr int64_t kStrip = PanelPlan::kStrip, kPitch = PanelPlan::kPitch;

#define FOVEA_DOTS __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))
#define FOVEA_TILES __attribute__((target("amx-tile,amx-bf16")))

// c (kR, 2 vectors) (+)= a (kR, steps) b (steps, 2 vectors).
template <int kR>
FOVEA_DOTS void DotTile(const float* __restrict a, const float* __restrict b, int64_t steps,
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
  static constexpr TileFunction kTiles[] = {DotTile<1>, DotTile<2>,  DotTile<3>,  DotTile<4>,
                                            DotTile<5>, DotTile<6>,  DotTile<7>,  DotTile<8>,
                                            DotTile<9>, DotTile<10>, DotTile<11>, DotTile<12>};
  const int64_t tiles = (rows + 11) / 12;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t begin = rows * tile / tiles, end = rows * (tile + 1) / tiles;
    kTiles[end - begin - 1](a + begin * kPitch, b, steps, fresh, upcoming, c + begin * kStrip);
  }
}

// Rows and bytes a row of the tiles: 0 to 3 are c's quarters, 4 and 5 a's halves, 6 and 7 b's.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {};

  TileConfig(int64_t above, int64_t below) {
    const auto a = static_cast<uint8_t>(above), b = static_cast<uint8_t>(below);
    for (const int tile : {0, 1, 4}) rows[tile] = a;
    for (const int tile : {2, 3, 5}) rows[tile] = b;
    rows[6] = rows[7] = 16;
  }
};

// 17 to 32 rows at a time, or up to 16 with kBelow false.
template <bool kBelow>
FOVEA_TILES void TilePair(const float* a, const float* b, int64_t steps, bool fresh,
                          Upcoming& upcoming, float* c) {
  constexpr int64_t kStripBytes = kStrip * 4, kPitchBytes = kPitch * 4;
  if (fresh) {
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (kBelow) _tile_zero(2);
    if constexpr (kBelow) _tile_zero(3);
  } else {
    _tile_loadd(0, c, kStripBytes);
    _tile_loadd(1, c + 16, kStripBytes);
    if constexpr (kBelow) _tile_loadd(2, c + 16 * kStrip, kStripBytes);
    if constexpr (kBelow) _tile_loadd(3, c + 16 * kStrip + 16, kStripBytes);
  }
  for (int64_t k = 0; k < steps; k += 16) {
    upcoming.Some();
    _tile_loadd(4, a + k, kPitchBytes);
    _tile_loadd(6, b + k * kStrip, kStripBytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + k * kStrip + 16, kStripBytes);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (kBelow) {
      _tile_loadd(5, a + 16 * kPitch + k, kPitchBytes);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, c, kStripBytes);
  _tile_stored(1, c + 16, kStripBytes);
  if constexpr (kBelow) _tile_stored(2, c + 16 * kStrip, kStripBytes);
  if constexpr (kBelow) _tile_stored(3, c + 16 * kStrip + 16, kStripBytes);
}

FOVEA_TILES void MultiplyTiles(const float* a, int64_t rows, const float* b, int64_t steps,
                               bool fresh, Upcoming& upcoming, float* c) {
  int64_t configured = 0;
  for (int64_t r = 0; r < rows; r += 32) {
    const int64_t height = std::min<int64_t>(32, rows - r);
    if (height != configured) {
      const TileConfig config(std::min<int64_t>(16, height),
                              height > 16 ? height - 16 : int64_t{16});
      _tile_loadconfig(&config);
      configured = height;
    }
    (height > 16 ? TilePair<true> : TilePair<false>)(a + r * kPitch, b, steps, fresh, upcoming,
                                                     c + r * kStrip);
  }
  _tile_release();
}

// Linux gives the tiles' registers to a program that asks.
bool AskForTiles() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  constexpr unsigned kAmxBf16 = 1u << 22, kAmxTile = 1u << 24;
  if ((edx & kAmxBf16) == 0 || (edx & kAmxTile) == 0) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

PanelMultiply Bf16PanelMultiply() {
  // Highway's choice too: a test that walks through its targets lowers that alone.
  if (UsedInstructionSet() != InstructionSet::kAvx512Bf16 ||
      (hwy::SupportedTargets() & HWY_AVX3) == 0) {
    return nullptr;
  }
  static const bool has_tiles = AskForTiles();
  if (has_tiles) return MultiplyTiles;
  return __builtin_cpu_is("amd") ? MultiplyDots : nullptr;  // elsewhere they do not pay
}

}  // namespace fovea
