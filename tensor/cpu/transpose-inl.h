// Square blocks of four-byte elements, transposed in registers.
#include "tensor/cpu/load_store-inl.h"

#if defined(FOVEA_TENSOR_CPU_TRANSPOSE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_TENSOR_CPU_TRANSPOSE_INL_H_
#undef FOVEA_TENSOR_CPU_TRANSPOSE_INL_H_
#else
#define FOVEA_TENSOR_CPU_TRANSPOSE_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace fovea {
namespace HWY_NAMESPACE {

#if HWY_TARGET <= HWY_AVX3
inline constexpr int kLanes = 16;
#elif HWY_TARGET <= HWY_AVX2
inline constexpr int kLanes = 8;
#else
inline constexpr int kLanes = HWY_TARGET == HWY_SCALAR ? 1 : 4;
#endif

// x[i] lane j <-> x[j] lane i. By halves: blocks of kStep lanes change places between rows kStep
// apart.
template <int kStep>
HWY_INLINE void SwapBlocks(VF32 (&x)[kLanes]) {
  const F32 d;
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    if ((i & kStep) != 0) continue;
    const VF32 a = x[i], b = x[i + kStep];
#if HWY_TARGET != HWY_SCALAR
    if constexpr (kStep == 1) {
      x[i] = hn::OddEven(hn::DupEven(b), a);
      x[i + kStep] = hn::OddEven(b, hn::DupOdd(a));
    } else if constexpr (kStep * 2 == kLanes) {
      x[i] = hn::ConcatLowerLower(d, b, a);
      x[i + kStep] = hn::ConcatUpperUpper(d, b, a);
    } else if constexpr (kStep == 2) {
      const hn::Repartition<uint64_t, F32> d64;
      const auto a64 = hn::BitCast(d64, a), b64 = hn::BitCast(d64, b);
      x[i] = hn::BitCast(d, hn::InterleaveLower(d64, a64, b64));
      x[i + kStep] = hn::BitCast(d, hn::InterleaveUpper(d64, a64, b64));
    } else {
      x[i] = hn::OddEvenBlocks(hn::SwapAdjacentBlocks(b), a);
      x[i + kStep] = hn::OddEvenBlocks(b, hn::SwapAdjacentBlocks(a));
    }
#endif
  }
}

HWY_INLINE void TransposeBlock(VF32 (&x)[kLanes]) {
  if constexpr (kLanes > 8) SwapBlocks<8>(x);
  if constexpr (kLanes > 4) SwapBlocks<4>(x);
  if constexpr (kLanes > 2) SwapBlocks<2>(x);
  if constexpr (kLanes > 1) SwapBlocks<1>(x);
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea
HWY_AFTER_NAMESPACE();

#endif  // toggle
