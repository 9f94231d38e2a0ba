// Pointwise activations: 2 elements moved per element, 10 to 25 FLOPs.
#include "tensor/cpu/dispatch.h"
#include "tensor/cpu/kernels.h"
#include "tensor/cpu/rows.h"
#include "tensor/machine/threads.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/activation_cpu.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "tensor/cpu/activation-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fovea {
namespace HWY_NAMESPACE {

template <Act kAct, class T>
void ActivateRange(const T* x, T* out, int64_t count) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  const auto apply = [&](auto vectors) {
    constexpr int kN = decltype(vectors)::value;
    VF32 y[kN];
    ForVectors<kN>([&](int v) { y[v] = LoadF32(d, x + i + v * lanes); });
    ApplyActs<kAct, kN>(d, y);
    ForVectors<kN>([&](int v) { StoreF32(d, y[v], out + i + v * lanes); });
    i += kN * lanes;
  };
  while (i + kActVectors * lanes <= count) apply(std::integral_constant<int, kActVectors>{});
  while (i + lanes <= count) apply(std::integral_constant<int, 1>{});
  if (i < count) {
    const size_t rest = static_cast<size_t>(count - i);
    StorePart(d, ApplyAct<kAct>(d, LoadPart(d, x + i, rest)), out + i, rest);
  }
}

template <Act kAct, class T>
void GatedRow(const T* x, T* out, int64_t c) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const T* gate = x + c;
  int64_t i = 0;
  const auto apply = [&](auto vectors) {
    constexpr int kN = decltype(vectors)::value;
    VF32 g[kN];
    ForVectors<kN>([&](int v) { g[v] = LoadF32(d, gate + i + v * lanes); });
    ApplyActs<kAct, kN>(d, g);
    ForVectors<kN>([&](int v) {
      StoreF32(d, hn::Mul(LoadF32(d, x + i + v * lanes), g[v]), out + i + v * lanes);
    });
    i += kN * lanes;
  };
  while (i + kActVectors * lanes <= c) apply(std::integral_constant<int, kActVectors>{});
  while (i + lanes <= c) apply(std::integral_constant<int, 1>{});
  if (i < c) {
    const size_t rest = static_cast<size_t>(c - i);
    const VF32 g = ApplyAct<kAct>(d, LoadPart(d, gate + i, rest));
    StorePart(d, hn::Mul(LoadPart(d, x + i, rest), g), out + i, rest);
  }
}

void Activate(const Tensor& x, Act act, const Tensor& out) {
  DispatchActivationType(x.dtype, [&](auto type) {
    using T = decltype(type);
    DispatchAct(act, [&](auto kind) {
      const T* from = x.Data<T>();
      T* to = out.Data<T>();
      ParallelFor(x.NumElements(), 4096, [=](int64_t begin, int64_t end) {
        ActivateRange<decltype(kind)::value>(from + begin, to + begin, end - begin);
      });
    });
  });
}

void GatedAct(const Tensor& x, Act act, const Tensor& out) {
  DispatchActivationType(x.dtype, [&](auto type) {
    using T = decltype(type);
    DispatchAct(act, [&](auto kind) {
      const int64_t c = RowLength(out);
      const T* from = x.Data<T>();
      T* to = out.Data<T>();
      ParallelFor(RowCount(out), 1 + 4096 / (c + 1), [=](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          GatedRow<decltype(kind)::value>(from + row * 2 * c, to + row * c, c);
        }
      });
    });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea {

HWY_EXPORT(Activate);
HWY_EXPORT(GatedAct);

void ActivateCpu(const Tensor& x, Act act, const Tensor& out) {
  HWY_DYNAMIC_DISPATCH(Activate)(x, act, out);
}

void GatedActCpu(const Tensor& x, Act act, const Tensor& out) {
  HWY_DYNAMIC_DISPATCH(GatedAct)(x, act, out);
}

}  // namespace fovea
#endif
