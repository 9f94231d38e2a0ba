// Elementwise operations: each element is read and written once, 16 bytes at a time where it can
// be.
#include "tensor/cuda/kernels/numbers_cuda.cuh"

namespace fovea::cuda {
namespace {

constexpr int kThreads = 256;

__device__ __forceinline__ int64_t ThreadIndex() {
  return static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
}

// Element number `index` of all rows as (row, column).
struct Position {
  int64_t row, column;
};
__device__ __forceinline__ Position PositionOf(const RowShape& shape, int64_t index) {
  if (shape.rows == 1) return {0, index};
  return {index / shape.c, index % shape.c};
}

// ---- activations: contiguous -------------------------------------------------------------------

template <class T, int N>
__device__ void ActivatePacks(const UnaryParams& p) {
  const int64_t i = ThreadIndex() * N;
  if (i >= p.count) return;
  if (i + N <= p.count) {
    Pack<T, N> pack = *reinterpret_cast<const Pack<T, N>*>(static_cast<const T*>(p.x) + i);
#pragma unroll
    for (int k = 0; k < N; ++k) Narrow(ApplyAct(Widen(pack.v[k]), p.act), pack.v[k]);
    *reinterpret_cast<Pack<T, N>*>(static_cast<T*>(p.out) + i) = pack;
    return;
  }
  for (int64_t k = i; k < p.count; ++k) {
    Narrow(ApplyAct(Widen(static_cast<const T*>(p.x)[k]), p.act), static_cast<T*>(p.out)[k]);
  }
}
template <class T>
__device__ void Activate(const UnaryParams& p) {
  ActivatePacks<T, kWide<T>>(p);
}

template <class T>
__device__ void GatedAct(const GatedActParams& p) {
  const int64_t i = ThreadIndex();
  if (i >= p.rows * p.c) return;
  const T* row = static_cast<const T*>(p.x) + i / p.c * 2 * p.c;
  const int64_t k = i % p.c;
  Narrow(Widen(row[k]) * ApplyAct(Widen(row[p.c + k]), p.act), static_cast<T*>(p.out)[i]);
}

// ---- sums: rows may be strided -----------------------------------------------------------------

template <class T, int N>
__device__ void AddPacks(const AddParams& p) {
  const int64_t i = ThreadIndex() * N;
  if (i >= p.shape.rows * p.shape.c) return;
  const Position at = PositionOf(p.shape, i);
  const T* a = static_cast<const T*>(p.a.data) + RowStart(p.shape, p.a, at.row) + at.column;
  const T* b = static_cast<const T*>(p.b.data) + RowStart(p.shape, p.b, at.row) + at.column;
  T* out = static_cast<T*>(p.out.data) + RowStart(p.shape, p.out, at.row) + at.column;
  const auto x = *reinterpret_cast<const Pack<T, N>*>(a),
             y = *reinterpret_cast<const Pack<T, N>*>(b);
  Pack<T, N> sum;
#pragma unroll
  for (int k = 0; k < N; ++k) Narrow(Widen(x.v[k]) + Widen(y.v[k]), sum.v[k]);
  *reinterpret_cast<Pack<T, N>*>(out) = sum;
}
template <class T>
__device__ void Add(const AddParams& p) {
  AddPacks<T, 1>(p);
}
template <class T>
__device__ void AddWide(const AddParams& p) {
  AddPacks<T, kWide<T>>(p);
}

template <class T>
__device__ void GatedAdd(const GatedAddParams& p) {
  const int64_t i = ThreadIndex();
  if (i >= p.shape.rows * p.shape.c) return;
  const int64_t row = i / p.shape.c, k = i % p.shape.c;
  const float x = Widen(static_cast<const T*>(p.x.data)[RowStart(p.shape, p.x, row) + k]);
  const float gate =
      Widen(static_cast<const T*>(p.gate)[row / p.shape.size[0] * p.gate_stride + k]);
  T& out = static_cast<T*>(p.out.data)[RowStart(p.shape, p.out, row) + k];
  Narrow(fmaf(x, gate, Widen(out)), out);
}

// ---- rotary positions: a thread turns one pair -------------------------------------------------

template <class T>
__device__ void Rotate(const RotateParams& p) {
  const int64_t pairs = p.shape.c / 2, i = ThreadIndex();
  if (i >= p.shape.rows * pairs) return;
  const int64_t row = i / pairs, k = i % pairs * 2, d = p.shape.c;
  const int64_t token = row / p.shape.size[0] % p.shape.size[1];
  const T* x = static_cast<const T*>(p.x.data) + RowStart(p.shape, p.x, row) + k;
  T* out = static_cast<T*>(p.out.data) + RowStart(p.shape, p.out, row) + k;
  const float* table = p.tables + token * 2 * d + k;
  const float a = Widen(x[0]), b = Widen(x[1]);
  Narrow(fmaf(a, table[0], b * table[d]), out[0]);
  Narrow(fmaf(b, table[1], a * table[d + 1]), out[1]);
}

// ---- copies between any strides, converted -----------------------------------------------------

template <class From, class To>
__device__ void Copy(const CopyParams& p) {
  const int64_t i = ThreadIndex();
  if (i >= p.shape.rows * p.shape.c) return;
  const Position at = PositionOf(p.shape, i);
  const From x = static_cast<const From*>(
      p.from.data)[RowStart(p.shape, p.from, at.row) + at.column * p.from.step];
  To& to = static_cast<To*>(p.to.data)[RowStart(p.shape, p.to, at.row) + at.column * p.to.step];
  if constexpr (sizeof(From) == sizeof(To) && sizeof(To) == sizeof(Pack<From, 1>) &&
                __is_same(From, To)) {
    to = x;  // bits, NaN's included
  } else {
    Narrow(Widen(x), to);
  }
}

}  // namespace

FOVEA_KERNEL(activate, kThreads, UnaryParams, Activate)
FOVEA_KERNEL(gated_act, kThreads, GatedActParams, GatedAct)
FOVEA_KERNEL(add, kThreads, AddParams, Add)
FOVEA_KERNEL(add_wide, kThreads, AddParams, AddWide)
FOVEA_KERNEL(gated_add, kThreads, GatedAddParams, GatedAdd)
FOVEA_KERNEL(rotate, kThreads, RotateParams, Rotate)

#define FOVEA_COPY(from, From, to, To)                                                            \
  extern "C" __global__ void __launch_bounds__(kThreads) copy_##from##_##to(const CopyParams p) { \
    Copy<From, To>(p);                                                                            \
  }
#define FOVEA_COPIES(from, From)     \
  FOVEA_COPY(from, From, f32, float) \
  FOVEA_COPY(from, From, bf16, Bf16) \
  FOVEA_COPY(from, From, f16, F16)
FOVEA_COPIES(f32, float)
FOVEA_COPIES(bf16, Bf16)
FOVEA_COPIES(f16, F16)

}  // namespace fovea::cuda
