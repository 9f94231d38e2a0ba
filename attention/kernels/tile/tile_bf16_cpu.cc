// The tile kernel in bf16 dot products (AVX512_BF16): pairs of bf16 are multiplied and summed in
// f32. Scores, maxima and sums are f32; probabilities are rounded to bf16 and summed as rounded, so
// that the weights of a query add up to one.
//
// Only where it pays: on Zen 4 the instruction does twice the work of an f32 multiply-add (452
// against 234 GFLOP/s on two cores); on Intel processors half of it.
#include "attention/kernels/tile/tile_job.h"
#include "tensor/machine/instruction_set.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attention/kernels/tile/tile_bf16_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

#undef FOVEA_TILE_TARGET
#if HWY_TARGET == HWY_AVX3
#define FOVEA_TILE_TARGET __attribute__((target(HWY_TARGET_STR ",avx512bf16")))
#else
#define FOVEA_TILE_TARGET  // nothing is made of it
#endif
#include "attention/kernels/tile/tile_loop-inl.h"

#if HWY_TARGET == HWY_AVX3
#include <immintrin.h>

namespace fovea {
namespace HWY_NAMESPACE {
namespace {

struct Bf16Arithmetic {
  FOVEA_TILE_TARGET static inline int64_t Steps(int64_t n) { return (n + 1) / 2; }
  FOVEA_TILE_TARGET static inline VF32 MultiplyAdd(VF32 a, VF32 b, VF32 sum) {
    return VF32{_mm512_dpbf16_ps(sum.raw, (__m512bh)_mm512_castps_si512(a.raw),
                                 (__m512bh)_mm512_castps_si512(b.raw))};
  }

  // Pairs [at, at + count) of a row; an odd last element is paired with zero.
  FOVEA_TILE_TARGET static inline VF32 LoadWords(const HeadView& head, const std::byte* base,
                                                 int64_t offset, int64_t at, int64_t count) {
    const std::byte* from = base + 2 * (offset + 2 * at);
    const int64_t elements = std::min(2 * count, head.d - 2 * at);
    const __mmask32 mask = static_cast<__mmask32>((uint64_t{1} << elements) - 1);
    return VF32{_mm512_castsi512_ps(_mm512_maskz_loadu_epi16(mask, from))};
  }

  // Rows must be whole pairs at addresses of pairs.
  FOVEA_TILE_TARGET static bool ReadsKeysInPlace(const HeadView& head) {
    const auto aligned = [](const std::byte* at, int64_t stride) {
      return reinterpret_cast<uintptr_t>(at) % 4 == 0 && stride % 2 == 0;
    };
    return head.d % 2 == 0 && aligned(head.k, head.k_stride) &&
           aligned(head.extra_k, head.extra_k_stride);
  }
  FOVEA_TILE_TARGET static void PackKey(const HeadView& head, const std::byte* row, float* to) {
    const int64_t words = Steps(head.d);
    for (int64_t c = 0; c < words; c += 16) {
      const int64_t left = std::min<int64_t>(16, words - c);
      const VF32 pairs = LoadWords(head, row, 0, c, left);
      _mm512_mask_storeu_ps(to + c, static_cast<__mmask16>((1u << left) - 1), pairs.raw);
    }
  }

  // Pairs of keys side by side: word c of row j holds element c of keys 2j and 2j + 1.
  FOVEA_TILE_TARGET static void PackValues(const HeadView& head, const int32_t* tokens,
                                           int64_t count, float* to) {
    for (int64_t j = 0; j < count; j += 2, to += head.d) {
      const std::byte* even =
          KeyRow(head, tokens[j], head.v, head.v_stride, head.extra_v, head.extra_v_stride);
      const bool pair = j + 1 < count;
      const std::byte* odd = pair ? KeyRow(head, tokens[j + 1], head.v, head.v_stride, head.extra_v,
                                           head.extra_v_stride)
                                  : even;
      for (int64_t c = 0; c < head.d; c += 16) {
        const __mmask16 mask =
            static_cast<__mmask16>((1u << std::min<int64_t>(16, head.d - c)) - 1);
        const __m256i low = _mm256_maskz_loadu_epi16(mask, even + 2 * c);
        const __m256i high =
            _mm256_maskz_loadu_epi16(pair ? mask : static_cast<__mmask16>(0), odd + 2 * c);
        const __m512i words = _mm512_or_si512(_mm512_cvtepu16_epi32(low),
                                              _mm512_slli_epi32(_mm512_cvtepu16_epi32(high), 16));
        _mm512_mask_storeu_epi32(to + c, mask, words);
      }
    }
  }

  // Scores become pairs of probabilities, in place: row j takes the place of rows 2j and 2j + 1.
  FOVEA_TILE_TARGET static void Softmax(const HeadView& head, const TileScratch& s, int64_t keys,
                                        int64_t queries, float* running_max, float* running_sum) {
    const F32 d;
    const VF32 scale = hn::Set(d, head.scale_log2);
    const __m512bh ones = (__m512bh)_mm512_set1_epi16(0x3f80);
    // From two vectors of 16, one after the other, to pairs.
    alignas(64) static constexpr uint16_t kPairs[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                        21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                        11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    const __m512i pairs = _mm512_load_si512(kPairs);
    for (int64_t column = 0; column < queries; column += kLanes) {
      const VF32 base = RaiseMaximum(d, s, running_max, column, scale);
      VF32 sum = hn::Zero(d);
      const float* from = s.p + column;
      float* to = s.p + column;
      for (int64_t j = 0; j < keys; j += 2) {
        const VF32 first = Exp2<4>(d, hn::MulSub(hn::Load(d, from), scale, base));
        const VF32 second =
            j + 1 < keys ? Exp2<4>(d, hn::MulSub(hn::Load(d, from + kTileTokens), scale, base))
                         : hn::Zero(d);
        const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(second.raw, first.raw);
        const __m512i words = _mm512_permutexvar_epi16(pairs, both);
        _mm512_store_si512(to, words);
        sum = VF32{_mm512_dpbf16_ps(sum.raw, (__m512bh)words, ones)};
        from += 2 * kTileTokens;
        to += kTileTokens;
      }
      const VF32 alpha = hn::Load(d, s.alpha + column);
      hn::Store(hn::MulAdd(hn::Load(d, running_sum + column), alpha, sum), d, running_sum + column);
    }
  }
};

FOVEA_TILE_TARGET void RunBf16Group(const HeadView& head, const TileMap& map, TileGroup group,
                                    const TileUpcoming& upcoming, const TileScratch& scratch) {
  RunGroup<Bf16Arithmetic>(head, map, group, upcoming, scratch);
}

}  // namespace

TileKernel Bf16Group() {
  return RunBf16Group;
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea
#endif  // HWY_TARGET == HWY_AVX3

#if HWY_ONCE
namespace fovea {

#if HWY_TARGETS & HWY_AVX3
TileKernel Bf16TileKernel() {
  const bool pays = UsedInstructionSet() == InstructionSet::kAvx512Bf16 &&
                    __builtin_cpu_is("amd") && (hwy::SupportedTargets() & HWY_AVX3) != 0;
  return pays ? N_AVX3::Bf16Group() : nullptr;
}
#else
TileKernel Bf16TileKernel() {
  return nullptr;
}
#endif

}  // namespace fovea
#endif  // HWY_ONCE
