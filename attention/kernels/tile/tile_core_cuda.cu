// Tile attention on the tensor cores of sm_80, for 16-bit types and heads of up to 128.
//
// Dao, "FlashAttention-2" (2023). 4 warps of 16 queries each; two stages of (K, V) tiles come by
// cp.async, K and V as groups of their own, so that scores start before V has landed. Rows are
// gathered by the token's index, in any order. The 16-byte chunks of a row in shared memory are
// moved by its number, so that 8 rows of a column, and 8 chunks of a row, hit all banks.
// Accumulators of the scores, rounded in pairs, are the left operand of the second product.
#include "attention/kernels/tile/tile_rows_cuda.cuh"
#include "tensor/cuda/kernels/tensor_core_cuda.cuh"

namespace fovea::cuda {
namespace {

constexpr int kThreads = 128;

__device__ __forceinline__ uint32_t Pair(Bf16, float low, float high) {
  uint32_t r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}
__device__ __forceinline__ uint32_t Pair(F16, float low, float high) {
  uint32_t r;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}

template <class T, int kHead>
struct Core {
  static constexpr int kChunks = kHead / 8, kStage = kTile * kHead;

  // Element (row, column) of a tile, column a multiple of 8: chunks are moved within their row.
  static __device__ __forceinline__ int At(int row, int column) {
    static_assert(kChunks % 4 == 0);
    return row * kHead + (column ^ (kChunks % 8 == 0 ? row % 8 * 8 : row / 2 % 4 * 8));
  }

  // Rows of keys or values of a tile; what lies beyond it or beyond d is zero.
  static __device__ __forceinline__ void Load(const TileAttentionParams& p, const TileJob& job,
                                              TilePair tile, const void* own,
                                              const HeadStrides& own_at, const void* extra,
                                              const HeadStrides& extra_at, T* to) {
    const int32_t* const tokens = job.map.kv_tokens + tile.first;
#pragma unroll 1
    for (int i = threadIdx.x; i < kTile * kChunks; i += kThreads) {
      const int row = i / kChunks, column = i % kChunks * 8;
      const bool valid = row < tile.second && column < p.d;
      const T* const from =
          valid ? KeyRow<T>(p, job, tokens[row], own, own_at, extra, extra_at) + column
                : static_cast<const T*>(own);
      CopyAsync16(to + At(row, column), from, valid);
    }
  }

  static __device__ __forceinline__ void LoadQueries(const TileAttentionParams& p,
                                                     const TileJob& job, T* to) {
    const T* const q = HeadOf<T>(p.q, p.q_at, job);
#pragma unroll 1
    for (int i = threadIdx.x; i < kTile * kChunks; i += kThreads) {
      const int row = i / kChunks, column = i % kChunks * 8;
      const bool valid = row < job.queries.second && column < p.d;
      const int32_t token = valid ? job.map.q_tokens[job.queries.first + row] : 0;
      CopyAsync16(to + At(row, column), valid ? q + token * p.q_at.token + column : q, valid);
    }
  }

  static __device__ void Run(const TileAttentionParams& p) {
    extern __shared__ __align__(128) unsigned char memory[];
    const TileJob job = ThisJob(p);
    if (job.none) return;
    T* const queries = reinterpret_cast<T*>(memory);
    T* const keys = queries + kStage;
    T* const values = keys + 2 * kStage;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const bool unused = SoftmaxIsUnused(p, job);
    const int begin = job.row.first, end = unused ? begin : job.row.second;
    const auto load_keys = [&](int visit, int stage) {
      if (visit < end) {
        Load(p, job, job.map.kv_tiles[job.map.visits[visit].first], p.k, p.k_at, p.extra_k,
             p.extra_k_at, keys + stage * kStage);
      }
      CommitCopies();  // empty or not, so that the counts below hold
    };
    const auto load_values = [&](int visit, int stage) {
      if (visit < end) {
        Load(p, job, job.map.kv_tiles[job.map.visits[visit].first], p.v, p.v_at, p.extra_v,
             p.extra_v_at, values + stage * kStage);
      }
      CommitCopies();
    };
    LoadQueries(p, job, queries);
    load_keys(begin, 0);
    load_values(begin, 0);

    uint32_t q[kHead / 16][4];
    float out[kHead / 8][4] = {};
    float largest[2] = {NegativeInfinity(), NegativeInfinity()}, sum[2] = {};
    for (int at = begin; at < end; ++at) {
      const int stage = (at - begin) & 1;
      load_keys(at + 1, stage ^ 1);
      load_values(at + 1, stage ^ 1);
      WaitCopies<3>();  // these keys; not yet these values and the next tile
      __syncthreads();
      if (at == begin) {
#pragma unroll
        for (int k = 0; k < kHead / 16; ++k) {
          LoadMatrix4(q[k], queries + At(warp * 16 + lane % 16, k * 16 + lane / 16 * 8));
        }
      }
      float s[8][4] = {};
      const T* const k_rows = keys + stage * kStage;
#pragma unroll
      for (int k = 0; k < kHead / 16; ++k) {
#pragma unroll
        for (int n = 0; n < 4; ++n) {
          uint32_t b[4];  // keys 0-7 with channels 0-7 and 8-15, then keys 8-15
          LoadMatrix4(b, k_rows + At(n * 16 + lane % 8 + lane / 16 * 8, k * 16 + lane / 8 % 2 * 8));
          Multiply(T{}, s[2 * n], q[k], b[0], b[1]);
          Multiply(T{}, s[2 * n + 1], q[k], b[2], b[3]);
        }
      }

      const TilePair visit = job.map.visits[at], tile = job.map.kv_tiles[visit.first];
      const int32_t* const tokens = job.map.kv_tokens + tile.first;
      const bool whole = visit.second < 0 && tile.second == kTile;
      uint32_t weights[8][2];
#pragma unroll
      for (int r = 0; r < 2; ++r) {
#pragma unroll
        for (int n = 0; n < 8; ++n) {
          s[n][2 * r] *= p.scale_log2;
          s[n][2 * r + 1] *= p.scale_log2;
        }
        if (p.extra_terms) {
#pragma unroll
          for (int i = 0; i < 16; ++i) {
            const int key = i / 2 * 8 + lane % 4 * 2 + i % 2;
            if (key < tile.second && tokens[key] >= p.kv) {
              s[i / 2][2 * r + i % 2] += p.extra_terms[tokens[key] - p.kv] * kLog2E;
            }
          }
        }
        if (!whole) {
          const uint64_t seen = SeenKeys(job, visit, warp * 16 + lane / 4 + 8 * r, tile.second);
#pragma unroll
          for (int i = 0; i < 16; ++i) {
            const int key = i / 2 * 8 + lane % 4 * 2 + i % 2;
            if (!(seen >> key & 1)) s[i / 2][2 * r + i % 2] = NegativeInfinity();
          }
        }
        float most = largest[r];
#pragma unroll
        for (int n = 0; n < 8; ++n) most = fmaxf(most, fmaxf(s[n][2 * r], s[n][2 * r + 1]));
        most = fmaxf(most, __shfl_xor_sync(~0u, most, 1));
        most = fmaxf(most, __shfl_xor_sync(~0u, most, 2));
        // A row that has seen nothing: no difference of infinities.
        const float base = most == NegativeInfinity() ? 0.f : most;
        const float alpha = Exp2(largest[r] - base);
        largest[r] = most;
        sum[r] *= alpha;
#pragma unroll
        for (int n = 0; n < 8; ++n) {
          const float low = Exp2(s[n][2 * r] - base), high = Exp2(s[n][2 * r + 1] - base);
          sum[r] += low + high;
          weights[n][r] = Pair(T{}, low, high);
        }
#pragma unroll
        for (int n = 0; n < kHead / 8; ++n) {
          out[n][2 * r] *= alpha;
          out[n][2 * r + 1] *= alpha;
        }
      }

      WaitCopies<2>();  // these values
      __syncthreads();
      const T* const v_rows = values + stage * kStage;
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const uint32_t a[4] = {weights[2 * k][0], weights[2 * k][1], weights[2 * k + 1][0],
                               weights[2 * k + 1][1]};
#pragma unroll
        for (int n = 0; n < kHead / 16; ++n) {
          uint32_t b[4];  // channels 0-7 of keys 0-7 and 8-15, then channels 8-15
          LoadMatrix4Transposed(b, v_rows + At(k * 16 + lane % 16, n * 16 + lane / 16 * 8));
          Multiply(T{}, out[2 * n], a, b[0], b[1]);
          Multiply(T{}, out[2 * n + 1], a, b[2], b[3]);
        }
      }
      __syncthreads();  // this stage is filled again
    }
    WaitCopies<0>();
    __syncthreads();
    Write(p, job, unused, largest, sum, out, reinterpret_cast<float*>(memory));
  }

  // Through shared memory, so that neighbouring threads write neighbouring channels.
  static __device__ __forceinline__ void Write(const TileAttentionParams& p, const TileJob& job,
                                               bool unused, const float (&largest)[2],
                                               float (&sum)[2], const float (&out)[kHead / 8][4],
                                               float* rows) {
    constexpr int kRow = kHead + 8;
    static_assert(kTile * kRow * sizeof(float) <= 5 * kStage * sizeof(T));
    const int lane = threadIdx.x % 32;
    const int32_t* const tokens = job.map.q_tokens + job.queries.first;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      sum[r] += __shfl_xor_sync(~0u, sum[r], 1);
      sum[r] += __shfl_xor_sync(~0u, sum[r], 2);
      const float inverse = InverseOf(sum[r]);
      const int row = threadIdx.x / 32 * 16 + lane / 4 + 8 * r;
#pragma unroll
      for (int n = 0; n < kHead / 8; ++n) {
        *reinterpret_cast<float2*>(rows + row * kRow + n * 8 + lane % 4 * 2) =
            make_float2(out[n][2 * r] * inverse, out[n][2 * r + 1] * inverse);
      }
      if (lane % 4 == 0 && row < job.queries.second) {
        WriteLse(p, job, tokens[row],
                 unused ? __int_as_float(0x7fc00000) : LseOf(largest[r], sum[r]));
      }
    }
    __syncthreads();
#pragma unroll 1
    for (int i = threadIdx.x; i < job.queries.second * p.d; i += kThreads) {
      const int row = i / p.d, column = i % p.d;
      WriteElement<T>(p, job, tokens[row], MixOf(p, job, tokens[row]), column,
                      rows[row * kRow + column]);
    }
  }
};

}  // namespace

#define FOVEA_TILE(type, T, head)                                                \
  extern "C" __global__ void __launch_bounds__(kThreads)                         \
      tile_core_##head##_##type(const __grid_constant__ TileAttentionParams p) { \
    Core<T, head>::Run(p);                                                       \
  }
#define FOVEA_TILES(type, T) \
  FOVEA_TILE(type, T, 32)    \
  FOVEA_TILE(type, T, 64)    \
  FOVEA_TILE(type, T, 96)    \
  FOVEA_TILE(type, T, 128)
FOVEA_TILES(bf16, Bf16)
FOVEA_TILES(f16, F16)

}  // namespace fovea::cuda
