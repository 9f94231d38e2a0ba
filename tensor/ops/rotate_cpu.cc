// Rotary positions: two products and an exchange of neighbours per vector, bound by memory.
#include "tensor/cpu/dispatch.h"
#include "tensor/cpu/kernels.h"
#include "tensor/cpu/rows.h"
#include "tensor/machine/threads.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/rotate_cpu.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "tensor/cpu/load_store-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fovea {
namespace HWY_NAMESPACE {

template <class T>
void RotateRow(const T* x, const float* table, int64_t c, T* out) {
  const float *keep = table, *cross = table + c;
#if HWY_TARGET == HWY_SCALAR
  const F32 d;
  for (int64_t i = 0; i < c; i += 2) {
    const float a = hn::GetLane(LoadF32(d, x + i)), b = hn::GetLane(LoadF32(d, x + i + 1));
    StoreF32(d, hn::Set(d, a * keep[i] + b * cross[i]), out + i);
    StoreF32(d, hn::Set(d, b * keep[i + 1] + a * cross[i + 1]), out + i + 1);
  }
#else
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= c; i += lanes) {
    const VF32 v = LoadF32(d, x + i);
    const VF32 turned = hn::Mul(hn::Shuffle2301(v), hn::LoadU(d, cross + i));
    StoreF32(d, hn::MulAdd(v, hn::LoadU(d, keep + i), turned), out + i);
  }
  if (i < c) {  // an even number of channels, so pairs stay together
    const size_t rest = static_cast<size_t>(c - i);
    const VF32 v = LoadPart(d, x + i, rest);
    const VF32 turned = hn::Mul(hn::Shuffle2301(v), LoadPart(d, cross + i, rest));
    StorePart(d, hn::MulAdd(v, LoadPart(d, keep + i, rest), turned), out + i, rest);
  }
#endif
}

void Rotate(const Tensor& x, const Tensor& tables, const Tensor& out) {
  const int64_t c = RowLength(x), tokens = x.shape[1], heads = x.shape[2];
  const float* table = tables.Data<float>();
  DispatchActivationType(x.dtype, [&](auto type) {
    using T = decltype(type);
    const T* from = x.Data<T>();
    T* to = out.Data<T>();
    ParallelFor(x.shape[0] * tokens, 1 + 8192 / (c * heads + 1), [&](int64_t begin, int64_t end) {
      for (int64_t token = begin; token < end; ++token) {
        const T* px = from + RowOffset(x, token * heads);
        T* py = to + RowOffset(out, token * heads);
        for (int64_t head = 0; head < heads; ++head, px += x.stride[2], py += out.stride[2]) {
          RotateRow(px, table + token % tokens * 2 * c, c, py);
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

HWY_EXPORT(Rotate);

void RotateCpu(const Tensor& x, const Tensor& tables, const Tensor& out) {
  HWY_DYNAMIC_DISPATCH(Rotate)(x, tables, out);
}

}  // namespace fovea
#endif
