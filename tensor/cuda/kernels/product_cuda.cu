// Products with a weight, and convolutions as products of patches that are never written down.
//
// A block makes 64 x 64 elements of the output. f32 is multiplied in f32, in order of k; 16-bit
// types by the tensor cores, in f32 sums, from two stages of 32 columns in shared memory.
#include "tensor/cuda/kernels/tensor_core_cuda.cuh"

namespace fovea::cuda {
namespace {

constexpr int kTile = 64;
constexpr int kSumPitch = kTile + 4;

// ---- where the left operand's elements lie -----------------------------------------------------

template <class T>
struct Patch {
  const T* base;
  int64_t y, x;  // of the first tap; convolutions only
};

template <class T, bool kConv>
__device__ __forceinline__ Patch<T> PatchOf(const ProductParams& p, int64_t row) {
  if constexpr (!kConv) {
    return {static_cast<const T*>(p.a.data) + RowStart(p.shape, p.a, row), 0, 0};
  } else {
    const int64_t x = row % p.shape.size[0], rest = row / p.shape.size[0];
    const int64_t y = rest % p.shape.size[1], n = rest / p.shape.size[1];
    return {static_cast<const T*>(p.image.data) + n * p.image.stride_n, y * p.stride - p.pad_top,
            x * p.stride - p.pad_left};
  }
}

// The element k of the patch, or null outside of the image.
template <class T, bool kConv>
__device__ __forceinline__ const T* ElementOf(const ProductParams& p, const Patch<T>& patch,
                                              int64_t k) {
  if constexpr (!kConv) {
    return patch.base + k;
  } else {
    const int tap = static_cast<int>(k / p.in);
    const int64_t y = patch.y + tap / p.kernel_w * p.dilation;
    const int64_t x = patch.x + tap % p.kernel_w * p.dilation;
    if (y < 0 || y >= p.image.h || x < 0 || x >= p.image.w) return nullptr;
    return patch.base + y * p.image.stride_h + x * p.image.stride_w + k % p.in;
  }
}

// ---- what is done with the sums ----------------------------------------------------------------

template <class T, int kThreads>
__device__ void WriteTile(const ProductParams& p, const float* sums, int64_t row0,
                          int64_t column0) {
#pragma unroll 1
  for (int i = threadIdx.x; i < kTile * kTile; i += kThreads) {
    const int64_t row = row0 + i / kTile, column = column0 + i % kTile;
    if (row >= p.shape.rows || column >= p.n) continue;
    float v = sums[i / kTile * kSumPitch + i % kTile];
    if (p.bias) v += p.bias[column];
    v = ApplyAct(v, p.act);
    if (p.residual.data) {
      v += Widen(
          static_cast<const T*>(p.residual.data)[RowStart(p.shape, p.residual, row) + column]);
    }
    Narrow(v, static_cast<T*>(p.out.data)[RowStart(p.shape, p.out, row) + column]);
  }
}

// ---- f32 ---------------------------------------------------------------------------------------

constexpr int kPlainThreads = 256, kPlainDepth = 16;

template <bool kConv>
__device__ void PlainProduct(const ProductParams& p) {
  __shared__ __align__(16) float memory[kTile * kSumPitch];
  float* const left = memory;  // [k][row]
  float* const right = memory + kPlainDepth * kSumPitch;
  const int64_t row0 = static_cast<int64_t>(blockIdx.x) * kTile, column0 = blockIdx.y * kTile;
  const int tid = threadIdx.x, depth = tid % kPlainDepth, first = tid / kPlainDepth;
  Patch<float> patches[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int64_t row = row0 + first + 16 * i;
    patches[i] = PatchOf<float, kConv>(p, row < p.shape.rows ? row : 0);
  }
  float sums[4][4] = {};
  for (int64_t k0 = 0; k0 < p.k; k0 += kPlainDepth) {
    const int64_t k = k0 + depth;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int at = first + 16 * i;
      float a = 0, b = 0;
      if (k < p.k && row0 + at < p.shape.rows) {
        const float* const from = ElementOf<float, kConv>(p, patches[i], k);
        if (from) a = *from;
      }
      if (k < p.k && column0 + at < p.n)
        b = static_cast<const float*>(p.w)[(column0 + at) * p.k + k];
      left[depth * kSumPitch + at] = a;
      right[depth * kSumPitch + at] = b;
    }
    __syncthreads();
#pragma unroll
    for (int j = 0; j < kPlainDepth; ++j) {
      const float4 a = *reinterpret_cast<const float4*>(left + j * kSumPitch + tid / 16 * 4);
      const float4 b = *reinterpret_cast<const float4*>(right + j * kSumPitch + tid % 16 * 4);
      const float as[4] = {a.x, a.y, a.z, a.w}, bs[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
      for (int r = 0; r < 4; ++r) {
#pragma unroll
        for (int c = 0; c < 4; ++c) sums[r][c] = fmaf(as[r], bs[c], sums[r][c]);
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int r = 0; r < 4; ++r) {
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      memory[(tid / 16 * 4 + r) * kSumPitch + tid % 16 * 4 + c] = sums[r][c];
    }
  }
  __syncthreads();
  WriteTile<float, kPlainThreads>(p, memory, row0, column0);
}

// ---- 16 bits -----------------------------------------------------------------------------------

constexpr int kCoreThreads = 128, kDepth = 32;

// Element (row, column) of a stage, column a multiple of 8: 16-byte chunks are moved within their
// row so that 8 rows of a column, and 2 whole rows, hit all banks.
__device__ __forceinline__ int At(int row, int column) {
  return row * kDepth + (column ^ (row / 2 % 4 * 8));
}

// One stage of both operands. kAsync: rows, taps and addresses are multiples of 8 elements.
template <class T, bool kConv, bool kAsync>
__device__ __forceinline__ void LoadStage(const ProductParams& p, const Patch<T> (&patches)[2],
                                          int64_t row0, int64_t column0, int64_t k0, T* left,
                                          T* right) {
  const int chunk = threadIdx.x % 4 * 8, first = threadIdx.x / 4;
  const int64_t k = k0 + chunk;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int at = first + 32 * i;
    const bool row = row0 + at < p.shape.rows, column = column0 + at < p.n;
    const T* const weights = static_cast<const T*>(p.w) + (column ? column0 + at : 0) * p.k;
    if constexpr (kAsync) {
      const bool inside = k < p.k;
      const T* from = row && inside ? ElementOf<T, kConv>(p, patches[i], k) : nullptr;
      CopyAsync16(left + At(at, chunk), from ? from : patches[i].base, from != nullptr);
      CopyAsync16(right + At(at, chunk), weights + (inside ? k : 0), column && inside);
    } else {
#pragma unroll 1
      for (int e = 0; e < 8; ++e) {
        T a{0}, b{0};
        if (k + e < p.k) {
          const T* from = row ? ElementOf<T, kConv>(p, patches[i], k + e) : nullptr;
          if (from) a = *from;
          if (column) b = weights[k + e];
        }
        left[At(at, chunk) + e] = a;
        right[At(at, chunk) + e] = b;
      }
    }
  }
}

template <class T, bool kConv, bool kAsync>
__device__ void CoreProduct(const ProductParams& p) {
  constexpr int kStage = 2 * kTile * kDepth;  // elements
  constexpr int kStages = 2 * kStage * static_cast<int>(sizeof(T));
  constexpr int kSums = kTile * kSumPitch * static_cast<int>(sizeof(float));
  __shared__ __align__(128) unsigned char memory[kStages > kSums ? kStages : kSums];
  T* const stages = reinterpret_cast<T*>(memory);
  const int64_t row0 = static_cast<int64_t>(blockIdx.x) * kTile, column0 = blockIdx.y * kTile;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int warp_row = warp / 2 * 32, warp_column = warp % 2 * 32;
  Patch<T> patches[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int64_t row = row0 + threadIdx.x / 4 + 32 * i;
    patches[i] = PatchOf<T, kConv>(p, row < p.shape.rows ? row : 0);
  }
  const auto load = [&](int64_t k0, int stage) {
    T* const left = stages + stage * kStage;
    LoadStage<T, kConv, kAsync>(p, patches, row0, column0, k0, left, left + kTile * kDepth);
  };
  float sums[2][4][4] = {};
  load(0, 0);
  CommitCopies();
  int stage = 0;
  for (int64_t k0 = 0; k0 < p.k; k0 += kDepth, stage ^= 1) {
    if (k0 + kDepth < p.k) load(k0 + kDepth, stage ^ 1);
    CommitCopies();  // always, so that the count below holds
    WaitCopies<1>();
    __syncthreads();
    const T* const left = stages + stage * kStage;
    const T* const right = left + kTile * kDepth;
#pragma unroll
    for (int kk = 0; kk < kDepth; kk += 16) {
      uint32_t a[2][4], b[2][4];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        LoadMatrix4(a[i], left + At(warp_row + 16 * i + lane % 16, kk + lane / 16 * 8));
        // Columns 0-7 with k 0-7 and 8-15, then columns 8-15.
        LoadMatrix4(b[i], right + At(warp_column + 16 * i + lane % 8 + lane / 16 * 8,
                                     kk + lane / 8 % 2 * 8));
      }
#pragma unroll
      for (int i = 0; i < 2; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          Multiply(T{}, sums[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
        }
      }
    }
    __syncthreads();  // the stage is filled again
  }
  float* const tile = reinterpret_cast<float*>(memory);
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int row = warp_row + 16 * i + lane / 4, column = warp_column + 8 * j + lane % 4 * 2;
      tile[row * kSumPitch + column] = sums[i][j][0];
      tile[row * kSumPitch + column + 1] = sums[i][j][1];
      tile[(row + 8) * kSumPitch + column] = sums[i][j][2];
      tile[(row + 8) * kSumPitch + column + 1] = sums[i][j][3];
    }
  }
  __syncthreads();
  WriteTile<T, kCoreThreads>(p, tile, row0, column0);
}

}  // namespace

#define FOVEA_PRODUCT(name, threads, ...)               \
  extern "C" __global__ void __launch_bounds__(threads, 2) \
      name(const __grid_constant__ ProductParams p) {   \
    __VA_ARGS__(p);                                     \
  }
FOVEA_PRODUCT(linear_f32, kPlainThreads, PlainProduct<false>)
FOVEA_PRODUCT(conv_f32, kPlainThreads, PlainProduct<true>)
FOVEA_PRODUCT(linear_bf16, kCoreThreads, CoreProduct<Bf16, false, false>)
FOVEA_PRODUCT(linear_f16, kCoreThreads, CoreProduct<F16, false, false>)
FOVEA_PRODUCT(conv_bf16, kCoreThreads, CoreProduct<Bf16, true, false>)
FOVEA_PRODUCT(conv_f16, kCoreThreads, CoreProduct<F16, true, false>)
FOVEA_PRODUCT(linear_wide_bf16, kCoreThreads, CoreProduct<Bf16, false, true>)
FOVEA_PRODUCT(linear_wide_f16, kCoreThreads, CoreProduct<F16, false, true>)
FOVEA_PRODUCT(conv_wide_bf16, kCoreThreads, CoreProduct<Bf16, true, true>)
FOVEA_PRODUCT(conv_wide_f16, kCoreThreads, CoreProduct<F16, true, true>)

}  // namespace fovea::cuda
