// Layer normalisation: a row is read three times, twice of them from the first-level cache.
#include <cmath>

#include "tensor/cpu/dispatch.h"
#include "tensor/cpu/kernels.h"
#include "tensor/cpu/rows.h"
#include "tensor/machine/threads.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/norm/layer_norm_cpu.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "tensor/cpu/load_store-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fovea {
namespace HWY_NAMESPACE {

// Sum of (x - center), squared if asked, in four chains of vectors: short chains round less.
template <bool kSquare, class T>
float SumOfRow(const T* x, int64_t c, float center) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const VF32 middle = hn::Set(d, center);
  const auto term = [&](VF32 sum, VF32 v) {
    const VF32 offset = hn::Sub(v, middle);
    return kSquare ? hn::MulAdd(offset, offset, sum) : hn::Add(sum, offset);
  };
  VF32 s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  int64_t i = 0;
  for (; i + 4 * lanes <= c; i += 4 * lanes) {
    s0 = term(s0, LoadF32(d, x + i));
    s1 = term(s1, LoadF32(d, x + i + lanes));
    s2 = term(s2, LoadF32(d, x + i + 2 * lanes));
    s3 = term(s3, LoadF32(d, x + i + 3 * lanes));
  }
  for (; i + lanes <= c; i += lanes) s0 = term(s0, LoadF32(d, x + i));
  if (i < c) {
    const size_t rest = static_cast<size_t>(c - i);
    const VF32 offset =
        hn::IfThenElseZero(hn::FirstN(d, rest), hn::Sub(LoadPart(d, x + i, rest), middle));
    s1 = kSquare ? hn::MulAdd(offset, offset, s1) : hn::Add(s1, offset);
  }
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3))));
}

// What a normalised row is then multiplied by and added to; null: neither.
template <class T>
struct Modulation {
  const float *gamma, *beta;
  const T *scale, *shift;
};

template <class T>
void NormalizeRow(const T* x, const Modulation<T>& by, float mean, float scale, int64_t c, T* out) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const VF32 m = hn::Set(d, mean);
  const VF32 s = hn::Set(d, scale);
  int64_t i = 0;
  for (; i + lanes <= c; i += lanes) {
    VF32 y = hn::Mul(hn::Sub(LoadF32(d, x + i), m), s);
    if (by.gamma) y = hn::Mul(y, hn::LoadU(d, by.gamma + i));
    if (by.beta) y = hn::Add(y, hn::LoadU(d, by.beta + i));
    if (by.scale) y = hn::Add(hn::MulAdd(y, LoadF32(d, by.scale + i), y), LoadF32(d, by.shift + i));
    StoreF32(d, y, out + i);
  }
  if (i < c) {
    const size_t rest = static_cast<size_t>(c - i);
    VF32 y = hn::Mul(hn::Sub(LoadPart(d, x + i, rest), m), s);
    if (by.gamma) y = hn::Mul(y, LoadPart(d, by.gamma + i, rest));
    if (by.beta) y = hn::Add(y, LoadPart(d, by.beta + i, rest));
    if (by.scale) {
      y = hn::Add(hn::MulAdd(y, LoadPart(d, by.scale + i, rest), y),
                  LoadPart(d, by.shift + i, rest));
    }
    StorePart(d, y, out + i, rest);
  }
}

void LayerNorm(const Tensor& x, const LayerNormParams& params, const Tensor& out) {
  const int64_t c = RowLength(x);
  const float* gamma = params.gamma.Empty() ? nullptr : params.gamma.Data<float>();
  const float* beta = params.beta.Empty() ? nullptr : params.beta.Data<float>();
  const bool modulated = !params.scale.Empty();
  const int64_t per_sample = modulated ? x.shape[1] : 1;
  DispatchActivationType(x.dtype, [&](auto type) {
    using T = decltype(type);
    const T* from = x.Data<T>();
    T* to = out.Data<T>();
    const T* scale = modulated ? params.scale.Data<T>() : nullptr;
    const T* shift = modulated ? params.shift.Data<T>() : nullptr;
    ParallelFor(RowCount(x), 1 + 4096 / c, [&](int64_t begin, int64_t end) {
      Modulation<T> by{gamma, beta, nullptr, nullptr};
      for (int64_t row = begin; row < end; ++row) {
        const T* px = from + RowOffset(x, row);
        if (modulated) {
          by.scale = scale + row / per_sample * params.scale.stride[0];
          by.shift = shift + row / per_sample * params.shift.stride[0];
        }
        const float mean = SumOfRow<false>(px, c, 0.0f) / static_cast<float>(c);
        const float variance = SumOfRow<true>(px, c, mean) / static_cast<float>(c);
        NormalizeRow(px, by, mean, 1.0f / std::sqrt(variance + params.eps), c,
                     to + RowOffset(out, row));
      }
    });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea {

HWY_EXPORT(LayerNorm);

void LayerNormCpu(const Tensor& x, const LayerNormParams& params, const Tensor& out) {
  HWY_DYNAMIC_DISPATCH(LayerNorm)(x, params, out);
}

}  // namespace fovea
#endif
