// Tile attention in f32 arithmetic, for every type and head size: what there is where the tensor
// cores' kernel (tile_core_cuda.cu) does not fit, and what f32 always takes, which is never TF32.
//
// 256 threads make 64 queries; a thread has 4 rows: of scores 4 columns side by side, of the output
// every 16th column, kColumns in all.
#include "attention/kernels/tile/tile_rows_cuda.cuh"

namespace fovea::cuda {
namespace {

constexpr int kThreads = 256, kDepth = 16, kPitch = kTile + 4;

template <class T, int kColumns>
__device__ void PlainTile(const TileAttentionParams& p) {
  constexpr int kWidth = 16 * kColumns, kKeys = kColumns > 16 ? 8 : 16;
  __shared__ __align__(16) float left[kDepth * kPitch], right[kDepth * kPitch];
  __shared__ __align__(16) float scores[kTile * kPitch];
  __shared__ float values[kKeys * kWidth], alphas[kTile], inverses[kTile];
  const TileJob job = ThisJob(p);
  if (job.none) return;
  const int tid = threadIdx.x, row4 = tid / 16 * 4, column = tid % 16;
  const int own_row = tid / 4, own_part = tid % 4 * 16;  // in the softmax
  const int queries = job.queries.second;
  const int32_t* const q_tokens = job.map.q_tokens + job.queries.first;
  const T* const q = HeadOf<T>(p.q, p.q_at, job);
  const bool unused = SoftmaxIsUnused(p, job);
  float out[4][kColumns] = {};
  float largest = NegativeInfinity(), sum = 0;
  for (int visit_at = job.row.first; visit_at < job.row.second && !unused; ++visit_at) {
    const TilePair visit = job.map.visits[visit_at], keys = job.map.kv_tiles[visit.first];
    const int32_t* const kv_tokens = job.map.kv_tokens + keys.first;
    float s[4][4] = {};
    for (int k0 = 0; k0 < p.d; k0 += kDepth) {
      const int depth = tid % kDepth, k = k0 + depth;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int at = tid / kDepth + 16 * i;
        const bool inside = k < p.d;
        left[depth * kPitch + at] =
            inside && at < queries ? Widen(q[q_tokens[at] * p.q_at.token + k]) : 0.f;
        right[depth * kPitch + at] =
            inside && at < keys.second
                ? Widen(KeyRow<T>(p, job, kv_tokens[at], p.k, p.k_at, p.extra_k, p.extra_k_at)[k])
                : 0.f;
      }
      __syncthreads();
#pragma unroll
      for (int j = 0; j < kDepth; ++j) {
        const float4 a = *reinterpret_cast<const float4*>(left + j * kPitch + row4);
        const float4 b = *reinterpret_cast<const float4*>(right + j * kPitch + 4 * column);
        const float as[4] = {a.x, a.y, a.z, a.w}, bs[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
        for (int r = 0; r < 4; ++r) {
#pragma unroll
          for (int c = 0; c < 4; ++c) s[r][c] = fmaf(as[r], bs[c], s[r][c]);
        }
      }
      __syncthreads();
    }
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      const uint64_t seen = SeenKeys(job, visit, row4 + r, keys.second);
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        const int key = 4 * column + c;
        float score = NegativeInfinity();
        if (seen >> key & 1) {
          score = s[r][c] * p.scale_log2;
          if (p.extra_terms && kv_tokens[key] >= p.kv) {
            score += p.extra_terms[kv_tokens[key] - p.kv] * kLog2E;
          }
        }
        scores[(row4 + r) * kPitch + key] = score;
      }
    }
    __syncthreads();
    {
      float* const mine = scores + own_row * kPitch + own_part;
      float most = largest;
#pragma unroll
      for (int i = 0; i < 16; ++i) most = fmaxf(most, mine[i]);
      most = fmaxf(most, __shfl_xor_sync(~0u, most, 1));
      most = fmaxf(most, __shfl_xor_sync(~0u, most, 2));
      // A row that has seen nothing: no difference of infinities.
      const float base = most == NegativeInfinity() ? 0.f : most;
      const float alpha = Exp2(largest - base);
      float part = 0;
#pragma unroll
      for (int i = 0; i < 16; ++i) {
        const float weight = Exp2(mine[i] - base);
        mine[i] = weight;
        part += weight;
      }
      part += __shfl_xor_sync(~0u, part, 1);
      part += __shfl_xor_sync(~0u, part, 2);
      sum = fmaf(sum, alpha, part);
      largest = most;
      if (own_part == 0) alphas[own_row] = alpha;
    }
    __syncthreads();
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      const float alpha = alphas[row4 + r];
#pragma unroll
      for (int c = 0; c < kColumns; ++c) out[r][c] *= alpha;
    }
    for (int key0 = 0; key0 < keys.second; key0 += kKeys) {
      for (int i = tid; i < kKeys * kWidth; i += kThreads) {
        const int key = key0 + i / kWidth, c = i % kWidth;
        values[i] =
            key < keys.second && c < p.d
                ? Widen(KeyRow<T>(p, job, kv_tokens[key], p.v, p.v_at, p.extra_v, p.extra_v_at)[c])
                : 0.f;
      }
      __syncthreads();
#pragma unroll 1
      for (int key = 0; key < kKeys; ++key) {
#pragma unroll
        for (int c = 0; c < kColumns; ++c) {
          const float v = values[key * kWidth + column + 16 * c];
#pragma unroll
          for (int r = 0; r < 4; ++r) {
            out[r][c] = fmaf(scores[(row4 + r) * kPitch + key0 + key], v, out[r][c]);
          }
        }
      }
      __syncthreads();
    }
  }
  if (own_part == 0) {
    inverses[own_row] = InverseOf(sum);
    if (own_row < queries) {
      WriteLse(p, job, q_tokens[own_row],
               unused ? __int_as_float(0x7fc00000) : LseOf(largest, sum));
    }
  }
  __syncthreads();
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    if (row4 + r >= queries) continue;
    const int32_t token = q_tokens[row4 + r];
    const MixRow mix = MixOf(p, job, token);
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
      if (column + 16 * c < p.d) {
        WriteElement<T>(p, job, token, mix, column + 16 * c, out[r][c] * inverses[row4 + r]);
      }
    }
  }
}

// Grid (channels / 32, heads, samples): a warp a channel's 32 parts would be slower to read, so a
// thread has one channel and 8 of them share the tokens.
template <class T>
__device__ void MeanValues(const MeanValuesParams& p) {
  __shared__ float parts[8][33];
  const int lane = threadIdx.x % 32, part = threadIdx.x / 32;
  const int channel = static_cast<int>(blockIdx.x) * 32 + lane;
  const T* v = static_cast<const T*>(p.v) + blockIdx.z * p.v_at.sample + blockIdx.y * p.v_at.head;
  float sum = 0;
  if (channel < p.d) {
    for (int64_t t = part; t < p.tokens; t += 8) sum += Widen(v[t * p.v_at.token + channel]);
  }
  parts[part][lane] = sum;
  __syncthreads();
  if (part != 0 || channel >= p.d) return;
  for (int i = 1; i < 8; ++i) sum += parts[i][lane];
  p.mean[(int64_t{blockIdx.z} * p.heads + blockIdx.y) * p.d + channel] =
      sum / static_cast<float>(p.tokens);
}

}  // namespace

#define FOVEA_TILE(type, T, columns)                                                 \
  extern "C" __global__ void __launch_bounds__(kThreads, 1)                          \
      tile_plain_##columns##_##type(const __grid_constant__ TileAttentionParams p) { \
    PlainTile<T, columns>(p);                                                        \
  }
FOVEA_TILE(f32, float, 4)
FOVEA_TILE(f32, float, 8)
FOVEA_TILE(f32, float, 32)
FOVEA_TILE(bf16, Bf16, 32)
FOVEA_TILE(f16, F16, 32)

FOVEA_KERNEL(mean_values, 256, MeanValuesParams, MeanValues)

}  // namespace fovea::cuda
