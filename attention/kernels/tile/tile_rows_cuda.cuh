// What the tile kernels of a GPU have in common: which tile a block makes, where rows lie, what is
// done with a finished row.
#pragma once

#include "attention/kernels/tile/tile_params.h"
#include "tensor/cuda/kernels/numbers_cuda.cuh"

namespace fovea::cuda {

inline constexpr float kLog2E = 1.4426950408889634f, kLn2 = 0.69314718055994531f;

__device__ __forceinline__ float NegativeInfinity() {
  return __int_as_float(0xff800000);
}

__device__ __forceinline__ float Exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// One query tile of one head of one sample: grid (tile, head, sample).
struct TileJob {
  MapTable map;
  int64_t sample, head, index;  // index: sample * heads + head
  TilePair row, queries;        // visits; begin and count of the tile's tokens
  bool none;
};

__device__ __forceinline__ TileJob ThisJob(const TileAttentionParams& p) {
  TileJob job;
  job.sample = blockIdx.z;
  job.head = blockIdx.y;
  job.index = job.sample * p.heads + job.head;
  job.map = p.maps[p.one_map ? 0 : job.index];
  job.none = static_cast<int>(blockIdx.x) >= job.map.row_count;
  if (job.none) return job;
  job.row = job.map.rows[blockIdx.x];
  job.queries = job.map.q_tiles[blockIdx.x];
  return job;
}

template <class T>
__device__ __forceinline__ const T* HeadOf(const void* base, const HeadStrides& at,
                                           const TileJob& job) {
  return static_cast<const T*>(base) + job.sample * at.sample + job.head * at.head;
}

// The row of a key in k or in extra_k (v alike).
template <class T>
__device__ __forceinline__ const T* KeyRow(const TileAttentionParams& p, const TileJob& job,
                                           int32_t token, const void* own,
                                           const HeadStrides& own_at, const void* extra,
                                           const HeadStrides& extra_at) {
  if (token < p.kv) return HeadOf<T>(own, own_at, job) + token * own_at.token;
  return HeadOf<T>(extra, extra_at, job) + (token - p.kv) * extra_at.token;
}

// The bits of the keys that query `row` of the tile sees.
__device__ __forceinline__ uint64_t SeenKeys(const TileJob& job, TilePair visit, int row,
                                             int count) {
  const uint64_t there = count == kTile ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
  return visit.second < 0 ? there : there & job.map.masks[int64_t{visit.second} * kTile + row];
}

// The mix of a row, or the plain one.
__device__ __forceinline__ MixRow MixOf(const TileAttentionParams& p, const TileJob& job,
                                        int32_t token) {
  if (p.mix) {
    const MixRow mix = p.mix[job.index];
    if (token >= mix.begin && token < mix.end) return mix;
  }
  return {1, 0, 0, 0, 0};
}

// Whether no row of this tile needs its softmax.
__device__ __forceinline__ bool SoftmaxIsUnused(const TileAttentionParams& p, const TileJob& job) {
  if (!p.mix || p.mix[job.index].a != 0) return false;
  for (int i = 0; i < job.queries.second; ++i) {
    const int32_t token = job.map.q_tokens[job.queries.first + i];
    if (token < p.mix[job.index].begin || token >= p.mix[job.index].end) return false;
  }
  return true;
}

// out[column] = a * attention + b * v + e * mean of v; a factor of zero leaves its term out.
template <class T>
__device__ __forceinline__ void WriteElement(const TileAttentionParams& p, const TileJob& job,
                                             int32_t token, const MixRow& mix, int column,
                                             float attention) {
  float y = mix.a != 0 ? mix.a * attention : 0.f;
  if (mix.b != 0) {
    y = fmaf(mix.b, Widen(HeadOf<T>(p.v, p.v_at, job)[token * p.v_at.token + column]), y);
  }
  if (mix.e != 0) y = fmaf(mix.e, p.mean_v[job.index * p.d + column], y);
  T* out = static_cast<T*>(p.out) + job.sample * p.out_at.sample + job.head * p.out_at.head;
  Narrow(y, out[token * p.out_at.token + column]);
}

__device__ __forceinline__ void WriteLse(const TileAttentionParams& p, const TileJob& job,
                                         int32_t token, float lse) {
  if (p.lse) p.lse[job.sample * p.lse_at.sample + job.head * p.lse_at.head + token] = lse;
}

// Of a row's largest score (times log2 e) and its sum relative to that.
__device__ __forceinline__ float LseOf(float largest, float sum) {
  return sum == 0 ? NegativeInfinity() : largest * kLn2 + logf(sum);
}
__device__ __forceinline__ float InverseOf(float sum) {
  return sum == 0 ? 0.f : 1.f / sum;
}

}  // namespace fovea::cuda
