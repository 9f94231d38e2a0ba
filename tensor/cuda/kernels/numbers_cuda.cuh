// Numbers as they lie in memory, widened to f32 and rounded back; activations in f32.
#pragma once

#include "tensor/cuda/kernels/params.h"

namespace fovea::cuda {

struct Bf16 {
  uint16_t bits;
};
struct F16 {
  uint16_t bits;
};

__device__ __forceinline__ float Widen(float x) {
  return x;
}
__device__ __forceinline__ float Widen(Bf16 x) {
  return __uint_as_float(static_cast<uint32_t>(x.bits) << 16);
}
__device__ __forceinline__ float Widen(F16 x) {
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
  return y;
}

__device__ __forceinline__ void Narrow(float x, float& to) {
  to = x;
}
__device__ __forceinline__ void Narrow(float x, Bf16& to) {
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(to.bits) : "f"(x));
}
__device__ __forceinline__ void Narrow(float x, F16& to) {
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(to.bits) : "f"(x));
}

// Elements that are read and written together.
template <class T, int N>
struct alignas(sizeof(T) * N) Pack {
  T v[N];
};
// Of 16 bytes.
template <class T>
inline constexpr int kWide = 16 / static_cast<int>(sizeof(T));

__device__ inline float ApplyAct(float x, int act) {
  switch (act) {
    case kActSilu:
      return x < -104.f ? 0.f : x / (1.f + expf(-x));
    case kActGeluErf:
      return 0.5f * x * erfcf(-0.70710678118654752f * x);
    case kActGeluTanh: {
      // 0.5 (1 + tanh u) = 1 / (1 + exp(-2u)), which keeps the tail.
      const float u = 1.5957691216057308f * (x + 0.044715f * x * x * x);
      return u < -104.f ? 0.f : x / (1.f + expf(-u));
    }
    case kActQuickGelu:
      return x < -61.f ? 0.f : x / (1.f + expf(-1.702f * x));
    case kActRelu:
      return x > 0.f ? x : x != x ? x : 0.f;
    default:
      return x;
  }
}

// Where row `row` of a view begins, in elements.
__device__ inline int64_t RowStart(const RowShape& shape, const RowView& view, int64_t row) {
  int64_t offset = 0;
#pragma unroll 1
  for (int axis = 0; axis < kRowAxes; ++axis) {
    if (shape.size[axis] == 1) continue;
    offset += row % shape.size[axis] * view.stride[axis];
    row /= shape.size[axis];
  }
  return offset;
}

// Defines NAME_f32, NAME_bf16 and NAME_f16, each calling BODY<T>(p).
#define FOVEA_KERNEL(name, threads, Params, Body)                                     \
  extern "C" __global__ void __launch_bounds__(threads) name##_f32(const Params p) {  \
    Body<float>(p);                                                                   \
  }                                                                                   \
  extern "C" __global__ void __launch_bounds__(threads) name##_bf16(const Params p) { \
    Body<Bf16>(p);                                                                    \
  }                                                                                   \
  extern "C" __global__ void __launch_bounds__(threads) name##_f16(const Params p) {  \
    Body<F16>(p);                                                                     \
  }

}  // namespace fovea::cuda
