// Bicubic resizing: rows first into a line of f32 as wide as the input, then columns.
//
// 16 reads and 8 multiply-adds for an element, out of cache except for the first read of each row:
// memory-bound for the sizes of feature maps.
#include <vector>

#include "tensor/cpu/cubic_taps.h"
#include "tensor/cpu/dispatch.h"
#include "tensor/cpu/kernels.h"
#include "tensor/machine/threads.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/resample/resize_bicubic_cpu.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "tensor/cpu/load_store-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fovea {
namespace HWY_NAMESPACE {

// to[k] = sum of weight[i] * from[i][k] over four pixels of c channels.
template <class From, class To>
void MixFour(const std::array<const From*, 4>& from, const std::array<float, 4>& weight, int64_t c,
             To* to) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto w0 = hn::Set(d, weight[0]), w1 = hn::Set(d, weight[1]);
  const auto w2 = hn::Set(d, weight[2]), w3 = hn::Set(d, weight[3]);
  const auto mix = [&](auto a, auto b, auto e, auto f) {
    return hn::MulAdd(f, w3, hn::MulAdd(e, w2, hn::MulAdd(b, w1, hn::Mul(a, w0))));
  };
  int64_t k = 0;
  for (; k + lanes <= c; k += lanes) {
    StoreF32(d,
             mix(LoadF32(d, from[0] + k), LoadF32(d, from[1] + k), LoadF32(d, from[2] + k),
                 LoadF32(d, from[3] + k)),
             to + k);
  }
  if (k < c) {
    const size_t rest = static_cast<size_t>(c - k);
    StorePart(d,
              mix(LoadPart(d, from[0] + k, rest), LoadPart(d, from[1] + k, rest),
                  LoadPart(d, from[2] + k, rest), LoadPart(d, from[3] + k, rest)),
              to + k, rest);
  }
}

void ResizeBicubic(const Tensor& x, const Tensor& out) {
  const std::vector<CubicTap> rows = CubicTaps(x.shape[1], out.shape[1]);
  const std::vector<CubicTap> columns = CubicTaps(x.shape[2], out.shape[2]);
  DispatchActivationType(x.dtype, [&](auto type) {
    using T = decltype(type);
    const int64_t height = out.shape[1], width = x.shape[2], c = x.shape[3];
    ParallelFor(out.shape[0] * height, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> line(static_cast<size_t>(width * c));
      for (int64_t i = begin; i < end; ++i) {
        const int64_t n = i / height;
        const CubicTap& row = rows[static_cast<size_t>(i % height)];
        for (int64_t column = 0; column < width; ++column) {
          std::array<const T*, 4> from;
          for (size_t k = 0; k < 4; ++k) {
            from[k] =
                x.Data<T>() + n * x.stride[0] + row.index[k] * x.stride[1] + column * x.stride[2];
          }
          MixFour(from, row.weight, c, line.data() + column * c);
        }
        T* to = out.Data<T>() + n * out.stride[0] + i % height * out.stride[1];
        for (int64_t column = 0; column < out.shape[2]; ++column) {
          const CubicTap& tap = columns[static_cast<size_t>(column)];
          std::array<const float*, 4> from;
          for (size_t k = 0; k < 4; ++k) from[k] = line.data() + tap.index[k] * c;
          MixFour(from, tap.weight, c, to + column * out.stride[2]);
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

HWY_EXPORT(ResizeBicubic);

void ResizeBicubicCpu(const Tensor& x, const Tensor& out) {
  if (out.NumElements() > 0) HWY_DYNAMIC_DISPATCH(ResizeBicubic)(x, out);
}

}  // namespace fovea
#endif
