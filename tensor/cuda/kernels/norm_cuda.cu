// Normalisation in one pass over memory that the cache holds: a block a group, or a warp a row.
#include "tensor/cuda/kernels/numbers_cuda.cuh"

namespace fovea::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;

__device__ __forceinline__ float WarpSum(float v) {
#pragma unroll
  for (int by = 16; by > 0; by /= 2) v += __shfl_xor_sync(~0u, v, by);
  return v;
}

// The sum over the block, in every thread.
__device__ float BlockSum(float v, float* parts) {
  v = WarpSum(v);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = v;
  __syncthreads();
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kWarps; ++i) sum += parts[i];
  __syncthreads();  // parts are written again
  return sum;
}

// (1 + scale) and shift of channel k of a sample.
template <class T>
__device__ __forceinline__ float Modulated(float y, const void* scale, const void* shift,
                                           int64_t scale_at, int64_t shift_at) {
  if (!scale) return y;
  return fmaf(y, 1.f + Widen(static_cast<const T*>(scale)[scale_at]),
              Widen(static_cast<const T*>(shift)[shift_at]));
}

// Grid: x is the group, y the sample.
template <class T>
__device__ void GroupNorm(const GroupNormKernelParams& p) {
  __shared__ float parts[kWarps];
  const int64_t n = blockIdx.y, width = p.c / p.groups, first = blockIdx.x * width;
  const int64_t count = p.pixels * width;
  const T* x = static_cast<const T*>(p.x) + n * p.pixels * p.c + first;
  T* out = static_cast<T*>(p.out) + n * p.pixels * p.c + first;
  const T* add = p.add ? static_cast<const T*>(p.add) + n * p.add_stride + first : nullptr;
  const auto value = [&](int64_t i, int64_t k) {
    const float v = Widen(x[i / width * p.c + k]);
    return add ? v + Widen(add[k]) : v;
  };
  float sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += kThreads) sum += value(i, i % width);
  const float mean = BlockSum(sum, parts) / static_cast<float>(count);
  float square = 0;
  for (int64_t i = threadIdx.x; i < count; i += kThreads) {
    const float d = value(i, i % width) - mean;
    square = fmaf(d, d, square);
  }
  const float variance = BlockSum(square, parts) / static_cast<float>(count);
  const float scale = 1.f / sqrtf(variance + p.eps);
  for (int64_t i = threadIdx.x; i < count; i += kThreads) {
    const int64_t k = i % width, channel = first + k;
    float y = fmaf((value(i, k) - mean) * scale, p.gamma[channel], p.beta[channel]);
    y = Modulated<T>(y, p.scale, p.shift, n * p.scale_stride + channel,
                     n * p.shift_stride + channel);
    Narrow(ApplyAct(y, p.act), out[i / width * p.c + k]);
  }
}

template <class T>
__device__ void RowNorm(const RowNormParams& p) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  if (row >= p.shape.rows) return;
  const int lane = threadIdx.x % 32;
  const T* x = static_cast<const T*>(p.x.data) + RowStart(p.shape, p.x, row);
  T* out = static_cast<T*>(p.out.data) + RowStart(p.shape, p.out, row);
  const int64_t c = p.shape.c, n = row / p.shape.size[0];
  float mean = 0;
  if (p.centred) {
    float sum = 0;
    for (int64_t k = lane; k < c; k += 32) sum += Widen(x[k]);
    mean = WarpSum(sum) / static_cast<float>(c);
  }
  float square = 0;
  for (int64_t k = lane; k < c; k += 32) {
    const float d = Widen(x[k]) - mean;
    square = fmaf(d, d, square);
  }
  const float scale = 1.f / sqrtf(WarpSum(square) / static_cast<float>(c) + p.eps);
  for (int64_t k = lane; k < c; k += 32) {
    float y = (Widen(x[k]) - mean) * scale;
    if (p.gamma) y *= p.gamma[k];
    if (p.beta) y += p.beta[k];
    y = Modulated<T>(y, p.scale, p.shift, n * p.scale_stride + k, n * p.shift_stride + k);
    Narrow(y, out[k]);
  }
}

}  // namespace

FOVEA_KERNEL(group_norm, kThreads, GroupNormKernelParams, GroupNorm)
FOVEA_KERNEL(row_norm, kThreads, RowNormParams, RowNorm)

}  // namespace fovea::cuda
