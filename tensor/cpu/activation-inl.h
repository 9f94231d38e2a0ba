// The activation functions on f32 vectors, with errors of a few units in the last place.
#include "tensor/backend.h"

#if defined(FOVEA_TENSOR_CPU_ACTIVATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_TENSOR_CPU_ACTIVATION_INL_H_
#undef FOVEA_TENSOR_CPU_ACTIVATION_INL_H_
#else
#define FOVEA_TENSOR_CPU_ACTIVATION_INL_H_
#endif

#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"
#include "tensor/cpu/load_store-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fovea {
namespace HWY_NAMESPACE {

// x / (1 + exp(-slope x)).
HWY_INLINE VF32 Swish(F32 d, VF32 x, VF32 slope_x) {
  // exp overflows above 88.7; by then the quotient is below 1e-36, which is zero for our purposes.
  const VF32 e = hn::Exp(d, hn::Min(hn::Neg(slope_x), hn::Set(d, 88.0f)));
  return hn::Div(x, hn::Add(e, hn::Set(d, 1.0f)));
}

// x/2 erfc(-x / sqrt 2), with erfc(z) = exp(-z²) erfcx(z) for z >= 0 and the symmetry for the rest:
// the relative error stays small in the negative tail too. erfcx is a polynomial in
// t = 1 / (1 + z/2) without constant term, fitted for least maximal relative error (4e-8) on
// [0, 10.5]; beyond, exp(-z²) is zero in f32.
HWY_INLINE VF32 GeluErf(F32 d, VF32 x) {
  const VF32 z = hn::Min(hn::Mul(hn::Abs(x), hn::Set(d, 0.70710678f)), hn::Set(d, 10.5f));
  const VF32 t = hn::Div(hn::Set(d, 1.0f), hn::MulAdd(z, hn::Set(d, 0.5f), hn::Set(d, 1.0f)));
  VF32 p = hn::Set(d, -0.05919250100851059f);
  p = hn::MulAdd(p, t, hn::Set(d, 0.285179078578949f));
  p = hn::MulAdd(p, t, hn::Set(d, -0.48845377564430237f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.2795051634311676f));
  p = hn::MulAdd(p, t, hn::Set(d, -0.02761874906718731f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.20310811698436737f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.24299703538417816f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.2823900282382965f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.2820855677127838f));
  const VF32 half_x2 = hn::Mul(hn::Mul(x, x), hn::Set(d, -0.5f));  // -z², rounded once less
  const VF32 e = hn::Exp(d, hn::Max(half_x2, hn::Set(d, -110.0f)));
  const VF32 half_erfc = hn::Mul(hn::Mul(hn::Mul(p, t), e), hn::Set(d, 0.5f));
  const auto negative = hn::Lt(x, hn::Zero(d));
  // NaN takes the second branch, as x itself.
  return hn::Mul(x, hn::IfThenElse(negative, half_erfc, hn::Sub(hn::Set(d, 1.0f), half_erfc)));
}

template <Act kAct>
HWY_INLINE VF32 ApplyAct(F32 d, VF32 x) {
  if constexpr (kAct == Act::kSilu) {
    return Swish(d, x, x);
  } else if constexpr (kAct == Act::kQuickGelu) {
    return Swish(d, x, hn::Mul(x, hn::Set(d, 1.702f)));
  } else if constexpr (kAct == Act::kGeluTanh) {
    // 1/2 (1 + tanh u) = 1 / (1 + exp(-2u)), u = sqrt(2/pi) (x + 0.044715 x³)
    const VF32 cubic = hn::MulAdd(hn::Mul(x, x), hn::Set(d, 0.044715f), hn::Set(d, 1.0f));
    return Swish(d, x, hn::Mul(hn::Mul(x, cubic), hn::Set(d, 1.5957691216057308f)));
  } else if constexpr (kAct == Act::kGeluErf) {
    return GeluErf(d, x);
  } else {
    return x;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea
HWY_AFTER_NAMESPACE();

#endif  // toggle
