// f32 vectors from and to memory that holds f32, bf16 or f16; arithmetic is always f32.
// Addresses need not be aligned.
#include <cstring>

#include "tensor/dtype.h"

#if defined(FOVEA_TENSOR_CPU_LOAD_STORE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_TENSOR_CPU_LOAD_STORE_INL_H_
#undef FOVEA_TENSOR_CPU_LOAD_STORE_INL_H_
#else
#define FOVEA_TENSOR_CPU_LOAD_STORE_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace fovea {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using VF32 = hn::Vec<F32>;

HWY_INLINE VF32 LoadF32(F32 d, const float* p) {
  return hn::LoadU(d, p);
}

HWY_INLINE VF32 LoadF32(F32 d, const BFloat16* p) {
  const hn::RebindToUnsigned<F32> du32;
  const hn::Rebind<uint16_t, F32> du16;
  const auto bits = hn::PromoteTo(du32, hn::LoadU(du16, &p->bits));
  return hn::BitCast(d, hn::ShiftLeft<16>(bits));
}

HWY_INLINE void StoreF32(F32 d, VF32 v, float* p) {
  hn::StoreU(v, d, p);
}

// Rounds to nearest, ties to even, keeps NaN: as ToBFloat16.
HWY_INLINE void StoreF32(F32 /*d*/, VF32 v, BFloat16* p) {
  const hn::RebindToUnsigned<F32> du32;
  const hn::Rebind<uint16_t, F32> du16;
  const auto bits = hn::BitCast(du32, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du32, 1));
  auto rounded = hn::Add(hn::Add(bits, hn::Set(du32, 0x7fff)), odd);
  const auto nan = hn::RebindMask(du32, hn::IsNaN(v));
  rounded = hn::IfThenElse(nan, hn::Set(du32, 0x7fc00000), rounded);
#if HWY_TARGET == HWY_SCALAR
  const hn::RebindToSigned<F32> di32;
  const auto top = hn::DemoteTo(du16, hn::BitCast(di32, hn::ShiftRight<16>(rounded)));
#else
  const hn::Repartition<uint16_t, F32> halves;
  const auto top = hn::LowerHalf(
      hn::ConcatOdd(halves, hn::BitCast(halves, rounded), hn::BitCast(halves, rounded)));
#endif
  hn::StoreU(top, du16, &p->bits);
}

HWY_INLINE VF32 LoadF32(F32 d, const Float16* p) {
#if HWY_TARGET == HWY_SCALAR
  return hn::Set(d, ToFloat(*p));
#else
  const hn::Rebind<hwy::float16_t, F32> df16;
  return hn::PromoteTo(d, hn::LoadU(df16, reinterpret_cast<const hwy::float16_t*>(p)));
#endif
}

// Rounds to nearest, ties to even.
HWY_INLINE void StoreF32(F32 /*d*/, VF32 v, Float16* p) {
#if HWY_TARGET == HWY_SCALAR
  *p = ToFloat16(hn::GetLane(v));
#else
  const hn::Rebind<hwy::float16_t, F32> df16;
  hn::StoreU(hn::DemoteTo(df16, v), df16, reinterpret_cast<hwy::float16_t*>(p));
#endif
}

// Parts of a vector, `count` < Lanes(d) elements; memory beyond them is not touched. Lanes that are
// not loaded are zero.
template <class T>
HWY_INLINE VF32 LoadPart(F32 d, const T* p, size_t count) {
  HWY_ALIGN T part[HWY_MAX_BYTES / sizeof(float)] = {};
  std::memcpy(part, p, count * sizeof(T));
  return LoadF32(d, part);
}

template <class T>
HWY_INLINE void StorePart(F32 d, VF32 v, T* p, size_t count) {
  HWY_ALIGN T part[HWY_MAX_BYTES / sizeof(float)];
  StoreF32(d, v, part);
  std::memcpy(p, part, count * sizeof(T));
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea
HWY_AFTER_NAMESPACE();

#endif  // toggle
