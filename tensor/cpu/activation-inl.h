// The activation functions on f32 vectors, with errors of a few units in the last place.
#include "tensor/backend.h"

#if defined(FOVEA_TENSOR_CPU_ACTIVATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_TENSOR_CPU_ACTIVATION_INL_H_
#undef FOVEA_TENSOR_CPU_ACTIVATION_INL_H_
#else
#define FOVEA_TENSOR_CPU_ACTIVATION_INL_H_
#endif

#include "hwy/highway.h"
#include "tensor/cpu/load_store-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fovea {
namespace HWY_NAMESPACE {

// Functions below work on kN vectors at a time, step by step: each is a chain of some twenty
// dependent instructions, and a processor looks ahead too few of them to overlap whole chains.
#if HWY_TARGET <= HWY_AVX3
constexpr int kActVectors = 4;
#else
constexpr int kActVectors = 2;
#endif

template <int kN, class F>
HWY_INLINE void ForVectors(F step) {
  HWY_UNROLL(4)
  for (int i = 0; i < kN; ++i) step(i);
}

// x = e^x for |x| <= 87, where neither e^x nor 1 / (1 + e^x) leaves the normal numbers; 1.5 units
// in the last place.
template <int kN>
HWY_INLINE void ExpInRange(F32 d, VF32* x) {
  const hn::RebindToSigned<F32> di;
  // Adding 1.5 * 2^23 rounds to a whole number and leaves it in the low bits.
  const VF32 magic = hn::Set(d, 12582912.0f);
  VF32 bits[kN], p[kN];
  ForVectors<kN>([&](int i) { bits[i] = hn::MulAdd(x[i], hn::Set(d, 1.44269504f), magic); });
  ForVectors<kN>([&](int i) { p[i] = hn::Sub(bits[i], magic); });
  // ln 2 in two parts; the first has 15 bits, so that its product is exact.
  ForVectors<kN>([&](int i) { x[i] = hn::NegMulAdd(p[i], hn::Set(d, 0.693145751953125f), x[i]); });
  ForVectors<kN>([&](int i) { x[i] = hn::NegMulAdd(p[i], hn::Set(d, 1.42860677e-6f), x[i]); });
  // Fitted for least maximal relative error (1e-7) on |x| <= 0.3466.
  ForVectors<kN>([&](int i) { p[i] = hn::Set(d, 0.0082903085f); });
  for (const float factor : {0.041897964f, 0.16667637f, 0.4999915f, 0.9999997f, 1.0f}) {
    ForVectors<kN>([&](int i) { p[i] = hn::MulAdd(p[i], x[i], hn::Set(d, factor)); });
  }
  ForVectors<kN>([&](int i) {
    const auto power = hn::ShiftLeft<23>(hn::BitCast(di, bits[i]));
    x[i] = hn::BitCast(d, hn::Add(hn::BitCast(di, p[i]), power));
  });
}

// x = 1 / x for normal x below 2^126, to 1.5 units in the last place.
template <int kN>
HWY_INLINE void Reciprocals(F32 d, VF32* x) {
  VF32 guess[kN];
  ForVectors<kN>([&](int i) { guess[i] = hn::ApproximateReciprocal(x[i]); });
#if HWY_TARGET > HWY_AVX3
  // The guess has 12 bits here, 14 with AVX-512: a step more, or all results would be too small.
  VF32 error[kN];
  ForVectors<kN>([&](int i) { error[i] = hn::NegMulAdd(x[i], guess[i], hn::Set(d, 1.0f)); });
  ForVectors<kN>([&](int i) { guess[i] = hn::MulAdd(error[i], guess[i], guess[i]); });
#endif
  ForVectors<kN>([&](int i) { x[i] = hn::NegMulAdd(x[i], guess[i], hn::Set(d, 1.0f)); });
  ForVectors<kN>([&](int i) { x[i] = hn::MulAdd(x[i], guess[i], guess[i]); });
}

// x = x / (1 + exp(slope_x)). Beyond 87 the quotient is below 1e-35, which is zero for our
// purposes.
template <int kN>
HWY_INLINE void Swish(F32 d, VF32* slope_x, VF32* x) {
  const VF32 limit = hn::Set(d, 87.0f);
  ForVectors<kN>([&](int i) { slope_x[i] = hn::Max(hn::Min(slope_x[i], limit), hn::Neg(limit)); });
  ExpInRange<kN>(d, slope_x);
  ForVectors<kN>([&](int i) { slope_x[i] = hn::Add(slope_x[i], hn::Set(d, 1.0f)); });
  Reciprocals<kN>(d, slope_x);
  ForVectors<kN>([&](int i) { x[i] = hn::Mul(x[i], slope_x[i]); });
}

// x/2 erfc(-x / sqrt 2), with erfc(z) = exp(-z²) erfcx(z) for z >= 0 and the symmetry for the rest:
// the relative error stays small in the negative tail too. erfcx is a polynomial in
// t = 1 / (1 + z/2) without constant term, fitted for least maximal relative error (4e-8) on
// [0, 10.5]; beyond, exp(-z²) is zero in f32.
template <int kN>
HWY_INLINE void GeluErf(F32 d, VF32* x) {
  VF32 t[kN], p[kN], e[kN];
  ForVectors<kN>([&](int i) {
    const VF32 z = hn::Min(hn::Mul(hn::Abs(x[i]), hn::Set(d, 0.70710678f)), hn::Set(d, 10.5f));
    t[i] = hn::MulAdd(z, hn::Set(d, 0.5f), hn::Set(d, 1.0f));
  });
  Reciprocals<kN>(d, t);
  ForVectors<kN>([&](int i) { p[i] = hn::Set(d, -0.05919250100851059f); });
  for (const float factor :
       {0.285179078578949f, -0.48845377564430237f, 0.2795051634311676f, -0.02761874906718731f,
        0.20310811698436737f, 0.24299703538417816f, 0.2823900282382965f, 0.2820855677127838f}) {
    ForVectors<kN>([&](int i) { p[i] = hn::MulAdd(p[i], t[i], hn::Set(d, factor)); });
  }
  const VF32 least = hn::Set(d, -87.0f);
  VF32 half_x2[kN];  // -z², rounded once less
  ForVectors<kN>([&](int i) { half_x2[i] = hn::Mul(hn::Mul(x[i], x[i]), hn::Set(d, -0.5f)); });
  ForVectors<kN>([&](int i) { e[i] = hn::Max(half_x2[i], least); });
  ExpInRange<kN>(d, e);
  ForVectors<kN>([&](int i) {
    e[i] = hn::IfThenElseZero(hn::Ge(half_x2[i], least), e[i]);
    const VF32 half_erfc = hn::Mul(hn::Mul(hn::Mul(p[i], t[i]), e[i]), hn::Set(d, 0.5f));
    const auto negative = hn::Lt(x[i], hn::Zero(d));
    // NaN takes the second branch, as x itself.
    const VF32 share = hn::IfThenElse(negative, half_erfc, hn::Sub(hn::Set(d, 1.0f), half_erfc));
    x[i] = hn::Mul(x[i], share);
  });
}

// x = act(x), kN vectors.
template <Act kAct, int kN>
HWY_INLINE void ApplyActs(F32 d, VF32* x) {
  VF32 slope_x[kN];  // sign inverted
  if constexpr (kAct == Act::kSilu) {
    ForVectors<kN>([&](int i) { slope_x[i] = hn::Neg(x[i]); });
    Swish<kN>(d, slope_x, x);
  } else if constexpr (kAct == Act::kQuickGelu) {
    ForVectors<kN>([&](int i) { slope_x[i] = hn::Mul(x[i], hn::Set(d, -1.702f)); });
    Swish<kN>(d, slope_x, x);
  } else if constexpr (kAct == Act::kGeluTanh) {
    // 1/2 (1 + tanh u) = 1 / (1 + exp(-2u)), u = sqrt(2/pi) (x + 0.044715 x³)
    ForVectors<kN>([&](int i) {
      const VF32 cubic = hn::MulAdd(hn::Mul(x[i], x[i]), hn::Set(d, 0.044715f), hn::Set(d, 1.0f));
      slope_x[i] = hn::Mul(hn::Mul(x[i], cubic), hn::Set(d, -1.5957691216057308f));
    });
    Swish<kN>(d, slope_x, x);
  } else if constexpr (kAct == Act::kGeluErf) {
    GeluErf<kN>(d, x);
  } else if constexpr (kAct == Act::kRelu) {
    // NaN stays NaN.
    ForVectors<kN>(
        [&](int i) { x[i] = hn::IfThenElse(hn::Lt(x[i], hn::Zero(d)), hn::Zero(d), x[i]); });
  }
}

template <Act kAct>
HWY_INLINE VF32 ApplyAct(F32 d, VF32 x) {
  ApplyActs<kAct, 1>(d, &x);
  return x;
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea
HWY_AFTER_NAMESPACE();

#endif  // toggle
