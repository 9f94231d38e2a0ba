// Attention with a bias on every score, and what becomes of heads beside the tile kernels.
#include "attention/kernels/heads_params.h"
#include "tensor/cuda/kernels/numbers_cuda.cuh"

namespace fovea::cuda {
namespace {

constexpr int kThreads = 128, kWarps = kThreads / 32;

template <class T>
__device__ __forceinline__ int64_t Offset(const HeadStrides& at, int64_t sample, int64_t token,
                                          int64_t head) {
  return sample * at.sample + token * at.token + head * at.head;
}

// A warp a query, its scores in shared memory: grid (queries / 4, heads, samples).
template <class T>
__device__ void Biased(const BiasedParams& p) {
  extern __shared__ float memory[];
  const int lane = threadIdx.x % 32;
  const int query = static_cast<int>(blockIdx.x) * kWarps + threadIdx.x / 32;
  if (query >= p.tokens) return;
  float* const scores = memory + threadIdx.x / 32 * p.keys;
  const int64_t sample = blockIdx.z, head = blockIdx.y;
  const T* const q = static_cast<const T*>(p.q) + Offset<T>(p.q_at, sample, query, head);
  const T* const k = static_cast<const T*>(p.k) + Offset<T>(p.k_at, sample, 0, head);
  const T* const v = static_cast<const T*>(p.v) + Offset<T>(p.v_at, sample, 0, head);
  const float* const bias = p.bias + head * p.bias_head + query * p.bias_query;
  float most = __int_as_float(0xff800000);
  for (int key = lane; key < p.keys; key += 32) {
    float dot = 0;
    for (int c = 0; c < p.d; ++c) dot = fmaf(Widen(q[c]), Widen(k[key * p.k_at.token + c]), dot);
    scores[key] = fmaf(dot, p.scale, bias[key]);
    most = fmaxf(most, scores[key]);
  }
#pragma unroll
  for (int by = 16; by > 0; by /= 2) most = fmaxf(most, __shfl_xor_sync(~0u, most, by));
  float sum = 0;
  for (int key = lane; key < p.keys; key += 32) {
    scores[key] = expf(scores[key] - most);
    sum += scores[key];
  }
#pragma unroll
  for (int by = 16; by > 0; by /= 2) sum += __shfl_xor_sync(~0u, sum, by);
  __syncwarp();  // lanes read each other's scores
  T* const out = static_cast<T*>(p.out) + Offset<T>(p.out_at, sample, query, head);
  for (int c = lane; c < p.d; c += 32) {
    float y = 0;
    for (int key = 0; key < p.keys; ++key) {
      y = fmaf(scores[key], Widen(v[key * p.v_at.token + c]), y);
    }
    Narrow(y / sum, out[c]);
  }
}

// A thread an element: grid (rows * d / 128, heads, samples).
template <class T>
__device__ void Blend(const BlendParams& p) {
  const int i = static_cast<int>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= p.rows * p.d) return;
  const int64_t token = p.begin + i / p.d, c = i % p.d;
  const T other = static_cast<const T*>(p.x)[Offset<T>(p.x_at, blockIdx.z, token, blockIdx.y) + c];
  T& out = static_cast<T*>(p.out)[Offset<T>(p.out_at, blockIdx.z, token, blockIdx.y) + c];
  if (p.share == 1.f) {
    out = other;
  } else {
    Narrow(fmaf(1.f - p.share, Widen(out), p.share * Widen(other)), out);
  }
}

template <class T>
__device__ void Mix(const MixParams& p) {
  const int i = static_cast<int>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= p.tokens * p.d) return;
  const int64_t token = i / p.d, c = i % p.d, index = int64_t{blockIdx.z} * p.heads + blockIdx.y;
  const MixRow mix = p.mix[index];
  if (token < mix.begin || token >= mix.end) return;
  T& out = static_cast<T*>(p.out)[Offset<T>(p.out_at, blockIdx.z, token, blockIdx.y) + c];
  float y = mix.a != 0 ? mix.a * Widen(out) : 0.f;
  if (mix.b != 0) {
    y = fmaf(
        mix.b,
        Widen(static_cast<const T*>(p.v)[Offset<T>(p.v_at, blockIdx.z, token, blockIdx.y) + c]), y);
  }
  if (mix.e != 0) y = fmaf(mix.e, p.mean_v[index * p.d + c], y);
  Narrow(y, out);
}

}  // namespace

FOVEA_KERNEL(biased_attention, kThreads, BiasedParams, Biased)
FOVEA_KERNEL(blend_heads, kThreads, BlendParams, Blend)
FOVEA_KERNEL(mix_heads, kThreads, MixParams, Mix)

}  // namespace fovea::cuda
