// Images made larger or smaller, channels-last: a thread an element of the output.
#include "tensor/cuda/kernels/numbers_cuda.cuh"

namespace fovea::cuda {
namespace {

constexpr int kThreads = 256;

struct Pixel {
  int64_t n, y, x, c;
  bool inside;
};

__device__ __forceinline__ Pixel ThisPixel(const ResampleParams& p) {
  int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  Pixel at;
  at.inside = i < p.n * p.out.h * p.out.w * p.c;
  at.c = i % p.c;
  i /= p.c;
  at.x = i % p.out.w;
  i /= p.out.w;
  at.y = i % p.out.h;
  at.n = i / p.out.h;
  return at;
}

template <class T>
__device__ __forceinline__ const T* Source(const ResampleParams& p, const Pixel& at, int64_t y,
                                           int64_t x) {
  return static_cast<const T*>(p.x.data) + at.n * p.x.stride_n + y * p.x.stride_h +
         x * p.x.stride_w + at.c;
}
template <class T>
__device__ __forceinline__ T& Target(const ResampleParams& p, const Pixel& at) {
  return static_cast<T*>(
      p.out.data)[at.n * p.out.stride_n + at.y * p.out.stride_h + at.x * p.out.stride_w + at.c];
}

// As the processor's: ratio and product in f32.
__device__ __forceinline__ int64_t Nearest(int64_t i, int64_t in, int64_t out) {
  if (out == in) return i;
  if (out == 2 * in) return i / 2;
  const float ratio = static_cast<float>(in) / static_cast<float>(out);
  const auto at = static_cast<int64_t>(floorf(static_cast<float>(i) * ratio));
  return at < in - 1 ? at : in - 1;
}

template <class T>
__device__ void Upsample(const ResampleParams& p) {
  const Pixel at = ThisPixel(p);
  if (!at.inside) return;
  Target<T>(p, at) =
      *Source<T>(p, at, Nearest(at.y, p.x.h, p.out.h), Nearest(at.x, p.x.w, p.out.w));
}

template <class T>
__device__ void AveragePool(const ResampleParams& p) {
  const Pixel at = ThisPixel(p);
  if (!at.inside) return;
  const int64_t y = 2 * at.y, x = 2 * at.x;
  const int64_t below = y + 1 < p.x.h ? y + 1 : y, right = x + 1 < p.x.w ? x + 1 : x;
  const float top = Widen(*Source<T>(p, at, y, x)) + Widen(*Source<T>(p, at, y, right));
  const float bottom = Widen(*Source<T>(p, at, below, x)) + Widen(*Source<T>(p, at, below, right));
  Narrow((top + bottom) * 0.25f, Target<T>(p, at));
}

// The four factors of an output row or column and its first source, in double as the processor's.
__device__ __forceinline__ int64_t CubicTap(int64_t i, int64_t from, int64_t to, float* weight) {
  const double a = -0.75;
  const double at =
      (static_cast<double>(i) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5;
  const auto whole = static_cast<int64_t>(floor(at));
  const double t = at - static_cast<double>(whole);
  const auto near = [&](double x) { return ((a + 2) * x - (a + 3)) * x * x + 1; };
  const auto far = [&](double x) { return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a; };
  weight[0] = static_cast<float>(far(1 + t));
  weight[1] = static_cast<float>(near(t));
  weight[2] = static_cast<float>(near(1 - t));
  weight[3] = static_cast<float>(far(2 - t));
  return whole - 1;
}
__device__ __forceinline__ int64_t Clamp(int64_t i, int64_t size) {
  return i < 0 ? 0 : i < size ? i : size - 1;
}

template <class T>
__device__ void Bicubic(const ResampleParams& p) {
  const Pixel at = ThisPixel(p);
  if (!at.inside) return;
  float down[4], across[4];
  const int64_t y = CubicTap(at.y, p.x.h, p.out.h, down);
  const int64_t x = CubicTap(at.x, p.x.w, p.out.w, across);
  float sum = 0;
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    float line = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      line =
          fmaf(Widen(*Source<T>(p, at, Clamp(y + i, p.x.h), Clamp(x + j, p.x.w))), down[i], line);
    }
    sum = fmaf(line, across[j], sum);
  }
  Narrow(sum, Target<T>(p, at));
}

}  // namespace

FOVEA_KERNEL(upsample, kThreads, ResampleParams, Upsample)
FOVEA_KERNEL(average_pool, kThreads, ResampleParams, AveragePool)
FOVEA_KERNEL(bicubic, kThreads, ResampleParams, Bicubic)

}  // namespace fovea::cuda
