// The softmax between the two products: exponentials, running maxima and masks, lane by lane.
//
// Milakov & Gimelshein, "Online normalizer calculation for softmax" (2018).
#include <cstring>

#include "attention/kernels/tile/tile_job.h"
#include "tensor/cpu/load_store-inl.h"

#if defined(FOVEA_ONLINE_SOFTMAX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_ONLINE_SOFTMAX_INL_H_
#undef FOVEA_ONLINE_SOFTMAX_INL_H_
#else
#define FOVEA_ONLINE_SOFTMAX_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace fovea {
namespace HWY_NAMESPACE {

// 2^x for x <= 0; below -126 it stays at 2^-126, which is nothing beside the 1 of the maximum.
// Polynomials of least relative error in x - round(x), constant term 1: 9e-8 for kDegree 5, 3e-6
// for 4.
template <int kDegree>
HWY_INLINE VF32 Exp2(F32 d, VF32 x) {
  const hn::RebindToSigned<F32> di;
  const VF32 lowest = hn::Set(d, -126.0f);
#if HWY_TARGET == HWY_SCALAR
  x = hn::IfThenElse(hn::Lt(x, lowest), lowest, x);
#else
  x = hn::Max(lowest, x);  // in this order x86 keeps NaN
#endif
  // Adding 1.5 * 2^23 rounds to an integer, which is left in the low bits.
  const VF32 magic = hn::Set(d, 12582912.0f);
  const VF32 rounded = hn::Add(x, magic);
  const VF32 f = hn::Sub(x, hn::Sub(rounded, magic));
  VF32 y;
  if constexpr (kDegree == 5) {
    y = hn::Set(d, 1.32647272e-3f);
    y = hn::MulAdd(y, f, hn::Set(d, 9.67151269e-3f));
    y = hn::MulAdd(y, f, hn::Set(d, 5.55073374e-2f));
    y = hn::MulAdd(y, f, hn::Set(d, 0.240222421f));
    y = hn::MulAdd(y, f, hn::Set(d, 0.693146978f));
  } else {
    static_assert(kDegree == 4);
    y = hn::Set(d, 9.58285317e-3f);
    y = hn::MulAdd(y, f, hn::Set(d, 5.5906425e-2f));
    y = hn::MulAdd(y, f, hn::Set(d, 0.240240986f));
    y = hn::MulAdd(y, f, hn::Set(d, 0.693124193f));
  }
  y = hn::MulAdd(y, f, hn::Set(d, 1.0f));
  const auto exponent = hn::ShiftLeft<23>(hn::BitCast(di, rounded));
  return hn::BitCast(d, hn::Add(hn::BitCast(di, y), exponent));
}

// Adds a term to the scores of each key, given for scores that `scale_log2` has multiplied, and finds
// the largest again.
HWY_INLINE void AddTerms(const TileScratch& s, const float* terms, float scale_log2, int64_t keys,
                         int64_t queries) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const float unit = 1.44269504f / scale_log2;  // one natural unit, in unscaled scores
  for (int64_t column = 0; column < queries; column += lanes) {
    float* score = s.p + column;
    VF32 max = hn::Set(d, -std::numeric_limits<float>::infinity());
    for (int64_t j = 0; j < keys; ++j, score += kTileTokens) {
      const VF32 raised = hn::Add(hn::Load(d, score), hn::Set(d, unit * terms[j]));
      hn::Store(raised, d, score);
      max = hn::Max(max, raised);
    }
    hn::Store(max, d, s.tile_max + column);
  }
}

// Hides the scores that `mask` (see TileMask) excludes and finds the largest of the others.
HWY_INLINE void MaskScores(const TileScratch& s, const TileMask& mask, int64_t keys,
                           int64_t queries) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const VF32 hidden = hn::Set(d, -std::numeric_limits<float>::infinity());
  for (int64_t column = 0; column < queries; column += lanes) {
    float* score = s.p + column;
    VF32 max = hidden;
    for (int64_t j = 0; j < keys; ++j, score += kTileTokens) {
      const uint64_t bits = mask[static_cast<size_t>(j)] >> column;
      uint8_t bytes[8];
      std::memcpy(bytes, &bits, sizeof bytes);
      const VF32 seen = hn::IfThenElse(hn::LoadMaskBits(d, bytes), hn::Load(d, score), hidden);
      hn::Store(seen, d, score);
      max = hn::Max(max, seen);
    }
    hn::Store(max, d, s.tile_max + column);
  }
}

// Takes the tile's largest scores into the running maximum, whose finite stand-in is returned (a
// query that has seen nothing yet has -infinity), and sets alpha.
HWY_INLINE VF32 RaiseMaximum(F32 d, const TileScratch& s, float* running, int64_t column,
                             VF32 scale) {
  const VF32 lowest = hn::Set(d, -std::numeric_limits<float>::max());
  const VF32 old_max = hn::Load(d, running + column);
  const VF32 max = hn::Max(old_max, hn::Mul(hn::Load(d, s.tile_max + column), scale));
  const VF32 base = hn::Max(max, lowest);
  hn::Store(max, d, running + column);
  hn::Store(Exp2<5>(d, hn::Sub(hn::Max(old_max, lowest), base)), d, s.alpha + column);
  return base;
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea
HWY_AFTER_NAMESPACE();

#endif  // toggle
