// Sums of two tensors: 3 elements moved and 1 FLOP per element.
#include "tensor/cpu/dispatch.h"
#include "tensor/cpu/kernels.h"
#include "tensor/cpu/rows.h"
#include "tensor/threads.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/elementwise_cpu.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "tensor/cpu/load_store-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fovea {
namespace HWY_NAMESPACE {

template <class T>
void AddRange(const T* a, const T* b, T* out, int64_t count) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    StoreF32(d, hn::Add(LoadF32(d, a + i), LoadF32(d, b + i)), out + i);
  }
  if (i < count) {
    const size_t rest = static_cast<size_t>(count - i);
    StorePart(d, hn::Add(LoadPart(d, a + i, rest), LoadPart(d, b + i, rest)), out + i, rest);
  }
}

void Add(const Tensor& a, const Tensor& b, const Tensor& out) {
  DispatchActivationType(a.dtype, [&](auto type) {
    using T = decltype(type);
    const T* pa = a.Data<T>();
    const T* pb = b.Data<T>();
    T* po = out.Data<T>();
    if (a.IsContiguous() && b.IsContiguous() && out.IsContiguous()) {
      ParallelFor(a.NumElements(), 1 << 13, [=](int64_t begin, int64_t end) {
        AddRange(pa + begin, pb + begin, po + begin, end - begin);
      });
      return;
    }
    const int64_t c = RowLength(a);
    ParallelFor(RowCount(a), 1 + (1 << 13) / (c + 1), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        AddRange(pa + RowOffset(a, row), pb + RowOffset(b, row), po + RowOffset(out, row), c);
      }
    });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea {

HWY_EXPORT(Add);

void AddCpu(const Tensor& a, const Tensor& b, const Tensor& out) {
  HWY_DYNAMIC_DISPATCH(Add)(a, b, out);
}

}  // namespace fovea
#endif
