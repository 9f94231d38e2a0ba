// Means of 2x2 pixels: one element written for four read, so memory-bound.
#include <algorithm>

#include "tensor/cpu/dispatch.h"
#include "tensor/cpu/kernels.h"
#include "tensor/machine/threads.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/resample/average_pool_cpu.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "tensor/cpu/load_store-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fovea {
namespace HWY_NAMESPACE {

// The mean of four pixels of c channels each, which may be the same ones repeated.
template <class T>
void MeanOfFour(const T* const (&from)[4], int64_t c, T* to) {
  const F32 d;
  const auto quarter = hn::Set(d, 0.25f);
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t k = 0;
  for (; k + lanes <= c; k += lanes) {
    const auto top = hn::Add(LoadF32(d, from[0] + k), LoadF32(d, from[1] + k));
    const auto bottom = hn::Add(LoadF32(d, from[2] + k), LoadF32(d, from[3] + k));
    StoreF32(d, hn::Mul(hn::Add(top, bottom), quarter), to + k);
  }
  if (k < c) {
    const size_t rest = static_cast<size_t>(c - k);
    const auto top = hn::Add(LoadPart(d, from[0] + k, rest), LoadPart(d, from[1] + k, rest));
    const auto bottom = hn::Add(LoadPart(d, from[2] + k, rest), LoadPart(d, from[3] + k, rest));
    StorePart(d, hn::Mul(hn::Add(top, bottom), quarter), to + k, rest);
  }
}

void AveragePool2x2(const Tensor& x, const Tensor& out) {
  DispatchActivationType(x.dtype, [&](auto type) {
    using T = decltype(type);
    const int64_t height = out.shape[1], width = out.shape[2];
    ParallelFor(out.shape[0] * height, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t n = i / height, row = i % height;
        // A pixel beyond the border is stood in for by its neighbour: the mean stays that of those
        // that exist.
        const int64_t below = std::min(2 * row + 1, x.shape[1] - 1);
        const T* top = x.Data<T>() + n * x.stride[0] + 2 * row * x.stride[1];
        const T* bottom = x.Data<T>() + n * x.stride[0] + below * x.stride[1];
        T* to = out.Data<T>() + n * out.stride[0] + row * out.stride[1];
        for (int64_t column = 0; column < width; ++column) {
          const int64_t left = 2 * column * x.stride[2];
          const int64_t right = std::min(2 * column + 1, x.shape[2] - 1) * x.stride[2];
          MeanOfFour<T>({top + left, top + right, bottom + left, bottom + right}, x.shape[3],
                        to + column * out.stride[2]);
        }
      }
    });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea {

HWY_EXPORT(AveragePool2x2);

void AveragePool2x2Cpu(const Tensor& x, const Tensor& out) {
  if (out.NumElements() > 0) HWY_DYNAMIC_DISPATCH(AveragePool2x2)(x, out);
}

}  // namespace fovea
#endif
