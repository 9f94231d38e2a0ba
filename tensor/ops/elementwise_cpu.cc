// Sums of two tensors: 3 elements moved and 1 or 2 FLOPs per element.
#include "tensor/cpu/dispatch.h"
#include "tensor/cpu/kernels.h"
#include "tensor/cpu/rows.h"
#include "tensor/machine/threads.h"

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

// out += x * gate
template <class T>
void GatedAddRow(const T* x, const T* gate, T* out, int64_t count) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const VF32 y = hn::MulAdd(LoadF32(d, x + i), LoadF32(d, gate + i), LoadF32(d, out + i));
    StoreF32(d, y, out + i);
  }
  if (i < count) {
    const size_t rest = static_cast<size_t>(count - i);
    const VF32 y = hn::MulAdd(LoadPart(d, x + i, rest), LoadPart(d, gate + i, rest),
                              LoadPart(d, out + i, rest));
    StorePart(d, y, out + i, rest);
  }
}

void GatedAdd(const Tensor& x, const Tensor& gate, const Tensor& out) {
  const int64_t c = RowLength(x), per_sample = x.shape[1];
  DispatchActivationType(x.dtype, [&](auto type) {
    using T = decltype(type);
    const T *px = x.Data<T>(), *pg = gate.Data<T>();
    T* po = out.Data<T>();
    ParallelFor(RowCount(x), 1 + (1 << 13) / (c + 1), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        GatedAddRow(px + RowOffset(x, row), pg + row / per_sample * gate.stride[0],
                    po + RowOffset(out, row), c);
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
HWY_EXPORT(GatedAdd);

void AddCpu(const Tensor& a, const Tensor& b, const Tensor& out) {
  HWY_DYNAMIC_DISPATCH(Add)(a, b, out);
}

void GatedAddCpu(const Tensor& x, const Tensor& gate, const Tensor& out) {
  HWY_DYNAMIC_DISPATCH(GatedAdd)(x, gate, out);
}

}  // namespace fovea
#endif
