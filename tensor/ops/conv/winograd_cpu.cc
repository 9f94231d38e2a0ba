// Winograd convolution: transforms of inputs, filters and outputs around 36 small matrix products.
//
// A strip of tiles at a time. Its inputs are transformed whole; then, for 32 output channels after
// the other, 64 input channels of filters are transformed into the second-level cache, multiplied
// and added up there. Filters are transformed again for every strip, which costs 3 % at 120 tiles
// and saves four times their memory.
#include "tensor/cpu/winograd.h"

#include <algorithm>

#include "tensor/cpu/dispatch.h"
#include "tensor/machine/threads.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/conv/winograd_cpu.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "tensor/cpu/activation-inl.h"

#ifndef FOVEA_TENSOR_OPS_WINOGRAD_CPU_ONCE_
#define FOVEA_TENSOR_OPS_WINOGRAD_CPU_ONCE_
// Accumulators stay in registers only if these loops are unrolled whole.
#define FOVEA_UNROLL _Pragma("GCC unroll 12")
namespace fovea {
namespace {

constexpr int kIn = 6, kOut = 4, kPoints = kIn * kIn;
constexpr int64_t kChunk = 2 * kWinogradLanes;  // output channels in registers at a time
constexpr int64_t kDepth = 64;                  // input channels that are multiplied at a time
constexpr int64_t kStripTiles = 120;            // products of a strip and a chunk: 553 KB
constexpr int64_t kStripBytes = int64_t{12} << 20;
// Interpolation points ±a and ±b.
constexpr float kA = 0.625f, kB = 1.5f;

// The 36 planes of one block are this far apart, in floats: not a multiple of 4096 bytes, which
// would send all of them to one set of the cache.
constexpr int64_t PlaneStride(int64_t rows, int64_t row) {
  return rows * row + kWinogradLanes;
}

struct WinogradRun {
  WinogradPlan plan;
  Tensor x, out, residual;  // residual may be empty
  const float* bias;        // or null
  int64_t pad_top, pad_left;
  const void* filters;
  const float* zeros;  // plan.in of them

  // Transformed inputs: blocks of kDepth channels, each (point, tile of the strip, kDepth).
  int64_t InputPlane() const { return PlaneStride(plan.strip, kDepth); }
  int64_t InputFloats() const { return (plan.in + kDepth - 1) / kDepth * kPoints * InputPlane(); }
};

// (point, kDepth, kChunk) and (point, tile, kChunk)
constexpr int64_t kFilterPlane = PlaneStride(kDepth, kChunk);
constexpr int64_t kProductPlane = PlaneStride(kStripTiles, kChunk);
constexpr int64_t kWorkFloats = kPoints * (kFilterPlane + kProductPlane);  // of one thread

}  // namespace
}  // namespace fovea
#endif

HWY_BEFORE_NAMESPACE();
namespace fovea {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET <= HWY_AVX3
constexpr int kMaxRows = 12;  // 12 x 2 accumulators of 32 registers
#else
constexpr int kMaxRows = 6;  // 6 x 2 of 16
#endif

// Six inputs to six points.
HWY_INLINE void InputPoints(F32 d, const VF32* in, VF32* v) {
  const VF32 a = hn::Set(d, kA), b = hn::Set(d, kB);
  const VF32 a2 = hn::Set(d, kA * kA), b2 = hn::Set(d, kB * kB);
  const VF32 sum = hn::Set(d, kA * kA + kB * kB), product = hn::Set(d, kA * kA * kB * kB);
  const VF32 d0 = in[0], d1 = in[1], d2 = in[2], d3 = in[3];
  const VF32 d4 = in[4], d5 = in[5];
  v[0] = hn::NegMulAdd(sum, d2, hn::MulAdd(product, d0, d4));
  v[5] = hn::NegMulAdd(sum, d3, hn::MulAdd(product, d1, d5));
  const VF32 even_a = hn::NegMulAdd(b2, d2, d4), odd_a = hn::NegMulAdd(b2, d1, d3);
  v[1] = hn::MulAdd(a, odd_a, even_a);
  v[2] = hn::NegMulAdd(a, odd_a, even_a);
  const VF32 even_b = hn::NegMulAdd(a2, d2, d4), odd_b = hn::NegMulAdd(a2, d1, d3);
  v[3] = hn::MulAdd(b, odd_b, even_b);
  v[4] = hn::NegMulAdd(b, odd_b, even_b);
}

// Three taps to six points.
HWY_INLINE void FilterPoints(F32 d, const VF32* in, VF32* u) {
  constexpr float kA2 = kA * kA, kB2 = kB * kB;
  const VF32 g0 = in[0], g1 = in[1], g2 = in[2];
  u[0] = hn::Mul(g0, hn::Set(d, 1 / (kA2 * kB2)));
  u[5] = g2;
  const auto pair = [&](float point, float other2, VF32* plus, VF32* minus) {
    const float scale = 1 / (2 * point * point * (point * point - other2));
    const VF32 even =
        hn::MulAdd(g2, hn::Set(d, scale * point * point), hn::Mul(g0, hn::Set(d, scale)));
    const VF32 odd = hn::Mul(g1, hn::Set(d, scale * point));
    *plus = hn::Add(even, odd);
    *minus = hn::Sub(even, odd);
  };
  pair(kA, kB2, &u[1], &u[2]);
  pair(kB, kA2, &u[3], &u[4]);
}

// Six points to four outputs.
HWY_INLINE void OutputPoints(F32 d, const VF32* m, VF32* y) {
  const VF32 plus_a = hn::Add(m[1], m[2]), minus_a = hn::Sub(m[1], m[2]);
  const VF32 plus_b = hn::Add(m[3], m[4]);
  const VF32 minus_b = hn::Sub(m[3], m[4]);
  y[0] = hn::Add(m[0], hn::Add(plus_a, plus_b));
  y[1] = hn::MulAdd(minus_b, hn::Set(d, kB), hn::Mul(minus_a, hn::Set(d, kA)));
  y[2] = hn::MulAdd(plus_b, hn::Set(d, kB * kB), hn::Mul(plus_a, hn::Set(d, kA * kA)));
  y[3] = hn::MulAdd(minus_b, hn::Set(d, kB * kB * kB),
                    hn::MulAdd(minus_a, hn::Set(d, kA * kA * kA), m[5]));
}

// Where tile `tile` of all samples begins in the output.
struct TilePlace {
  int64_t n, y, x;
  TilePlace(const WinogradPlan& plan, int64_t tile)
      : n(tile / (plan.tiles_y * plan.tiles_x)),
        y(tile / plan.tiles_x % plan.tiles_y * kOut),
        x(tile % plan.tiles_x * kOut) {}
};

// Tiles [begin, end) of the strip that begins at tile `first`, into `inputs`.
template <class T>
void TransformInputs(const WinogradRun& run, int64_t first, int64_t begin, int64_t end,
                     float* inputs) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t height = run.x.shape[1], width = run.x.shape[2];
  const T* zeros = reinterpret_cast<const T*>(run.zeros);
  for (int64_t t = begin; t < end; ++t) {
    const TilePlace place(run.plan, first + t);
    const T* pixels[kPoints];
    for (int i = 0; i < kPoints; ++i) {
      const int64_t y = place.y - run.pad_top + i / kIn, x = place.x - run.pad_left + i % kIn;
      const bool inside = y >= 0 && y < height && x >= 0 && x < width;
      pixels[i] = inside ? static_cast<const T*>(run.x.data) + place.n * run.x.stride[0] +
                               y * run.x.stride[1] + x * run.x.stride[2]
                         : zeros;
    }
    // Two columns of the next tile are this one's; the others are out of reach of the hardware's
    // prefetchers, which follow pixels, not rows of them.
    const int64_t next = place.x + 2 * kOut + 2 <= width ? kOut * run.x.stride[2] : 0;
    for (int64_t c = 0; c < run.plan.in; c += lanes) {
      VF32 rows[kPoints];  // (point across, row)
      for (int r = 0; r < kIn; ++r) {
        VF32 line[kIn], points[kIn];
        FOVEA_UNROLL
        for (int i = 2; i < kIn; ++i) hwy::Prefetch(pixels[r * kIn + i] + next + c);
        FOVEA_UNROLL
        for (int i = 0; i < kIn; ++i) line[i] = LoadF32(d, pixels[r * kIn + i] + c);
        InputPoints(d, line, points);
        FOVEA_UNROLL
        for (int i = 0; i < kIn; ++i) rows[i * kIn + r] = points[i];
      }
      float* to = inputs + c / kDepth * kPoints * run.InputPlane() + t * kDepth + c % kDepth;
      for (int i = 0; i < kIn; ++i) {
        VF32 points[kIn];
        InputPoints(d, rows + i * kIn, points);
        FOVEA_UNROLL
        for (int r = 0; r < kIn; ++r) {
          hn::Store(points[r], d, to + (r * kIn + i) * run.InputPlane());
        }
      }
    }
  }
}

// Filters of `depth` input channels from `begin` to `channels` output channels from `first`.
template <class T>
void TransformFilters(const WinogradRun& run, int64_t begin, int64_t depth, int64_t first,
                      int64_t channels, float* to) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t in = run.plan.in;
  for (int64_t c = 0; c < channels; c += lanes) {
    const int64_t o = first + c;
    const T* from = static_cast<const T*>(run.filters) +
                    o / kWinogradLanes * 9 * in * kWinogradLanes + o % kWinogradLanes;
    for (int64_t k = 0; k < depth; ++k) {
      VF32 rows[3 * kIn];  // (point across, row)
      for (int r = 0; r < 3; ++r) {
        VF32 taps[3], points[kIn];
        FOVEA_UNROLL
        for (int i = 0; i < 3; ++i) {
          taps[i] = LoadF32(d, from + ((r * 3 + i) * in + begin + k) * kWinogradLanes);
        }
        FilterPoints(d, taps, points);
        FOVEA_UNROLL
        for (int i = 0; i < kIn; ++i) rows[i * 3 + r] = points[i];
      }
      for (int i = 0; i < kIn; ++i) {
        VF32 points[kIn];
        FilterPoints(d, rows + i * 3, points);
        FOVEA_UNROLL
        for (int r = 0; r < kIn; ++r) {
          hn::Store(points[r], d, to + (r * kIn + i) * kFilterPlane + k * kChunk + c);
        }
      }
    }
  }
}

// c (kR, kChunk) += a (kR, kDepth) b (kDepth, kChunk) over `depth`, kV vectors of each row; with
// `fresh`, c is overwritten.
template <int kR, int kV>
HWY_INLINE void Multiply(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, int64_t depth,
                         bool fresh, float* HWY_RESTRICT c) {
  const F32 d;
  const size_t lanes = hn::Lanes(d);
  VF32 sum[kR][kV];
  FOVEA_UNROLL
  for (int r = 0; r < kR; ++r) {
    FOVEA_UNROLL
    for (int v = 0; v < kV; ++v) {
      sum[r][v] = fresh ? hn::Zero(d) : hn::Load(d, c + r * kChunk + v * lanes);
    }
  }
  for (int64_t k = 0; k < depth; ++k) {
    VF32 bv[kV];
    FOVEA_UNROLL
    for (int v = 0; v < kV; ++v) bv[v] = hn::Load(d, b + k * kChunk + v * lanes);
    FOVEA_UNROLL
    for (int r = 0; r < kR; ++r) {
      const VF32 av = hn::Set(d, a[r * kDepth + k]);
      FOVEA_UNROLL
      for (int v = 0; v < kV; ++v) sum[r][v] = hn::MulAdd(av, bv[v], sum[r][v]);
    }
  }
  FOVEA_UNROLL
  for (int r = 0; r < kR; ++r) {
    FOVEA_UNROLL
    for (int v = 0; v < kV; ++v) hn::Store(sum[r][v], d, c + r * kChunk + v * lanes);
  }
}

template <int kV>
void MultiplyRows(const float* a, int64_t rows, const float* b, int64_t depth, bool fresh,
                  float* c) {
  int64_t r = 0;
  for (; r + kMaxRows <= rows; r += kMaxRows) {
    Multiply<kMaxRows, kV>(a + r * kDepth, b, depth, fresh, c + r * kChunk);
  }
  for (; r + 4 <= rows; r += 4) {
    Multiply<4, kV>(a + r * kDepth, b, depth, fresh, c + r * kChunk);
  }
  for (; r < rows; ++r) Multiply<1, kV>(a + r * kDepth, b, depth, fresh, c + r * kChunk);
}

// Products of `count` tiles from `tile` on to `channels` output channels from `first`.
template <Act kAct, class T>
void TransformOutputs(const WinogradRun& run, int64_t tile, int64_t count, int64_t first,
                      int64_t channels, const float* products) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t t = 0; t < count; ++t) {
    const TilePlace place(run.plan, tile + t);
    const int64_t height = std::min<int64_t>(kOut, run.plan.out_h - place.y);
    const int64_t width = std::min<int64_t>(kOut, run.plan.out_w - place.x);
    const auto pixel = [&place](const Tensor& image) {
      return static_cast<T*>(image.data) + place.n * image.stride[0] + place.y * image.stride[1] +
             place.x * image.stride[2];
    };
    T* to = pixel(run.out) + first;
    const T* residual = run.residual.Empty() ? nullptr : pixel(run.residual) + first;
    for (int64_t c = 0; c < channels; c += lanes) {
      VF32 rows[kOut * kIn];  // (output across, row)
      for (int r = 0; r < kIn; ++r) {
        VF32 line[kIn], points[kOut];
        FOVEA_UNROLL
        for (int i = 0; i < kIn; ++i) {
          line[i] = hn::Load(d, products + (r * kIn + i) * kProductPlane + t * kChunk + c);
        }
        OutputPoints(d, line, points);
        FOVEA_UNROLL
        for (int i = 0; i < kOut; ++i) rows[i * kIn + r] = points[i];
      }
      const VF32 bias = run.bias == nullptr ? hn::Zero(d) : hn::LoadU(d, run.bias + first + c);
      for (int64_t i = 0; i < width; ++i) {
        VF32 y[kOut];
        OutputPoints(d, rows + i * kIn, y);
        for (int64_t r = 0; r < height; ++r) {
          VF32 value = ApplyAct<kAct>(d, hn::Add(y[r], bias));
          if (residual != nullptr) {
            const T* more = residual + r * run.residual.stride[1] + i * run.residual.stride[2];
            value = hn::Add(value, LoadF32(d, more + c));
          }
          StoreF32(d, value, to + r * run.out.stride[1] + i * run.out.stride[2] + c);
        }
      }
    }
  }
}

// Tiles [begin, end) of the strip that begins at tile `first`, one chunk of output channels, from
// the strip's transformed `inputs`. `work` has kWorkFloats.
template <Act kAct, class T, class Filter>
void MultiplyChunk(const WinogradRun& run, int64_t first, int64_t begin, int64_t end, int64_t chunk,
                   const float* inputs, float* work) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t channel = chunk * kChunk;
  const int64_t channels = std::min(kChunk, run.plan.out - channel);
  float* filters = work;
  float* products = work + kPoints * kFilterPlane;
  for (int64_t k = 0; k < run.plan.in; k += kDepth) {
    const int64_t depth = std::min(kDepth, run.plan.in - k);
    TransformFilters<Filter>(run, k, depth, channel, channels, filters);
    for (int64_t point = 0; point < kPoints; ++point) {
      const float* a = inputs + (k / kDepth * kPoints + point) * run.InputPlane() + begin * kDepth;
      const float* b = filters + point * kFilterPlane;
      float* c = products + point * kProductPlane;
      if (channels > lanes) {
        for (int64_t v = 0; v < channels; v += 2 * lanes) {
          MultiplyRows<2>(a, end - begin, b + v, depth, k == 0, c + v);
        }
      } else {
        MultiplyRows<1>(a, end - begin, b, depth, k == 0, c);
      }
    }
  }
  TransformOutputs<kAct, T>(run, first + begin, end - begin, channel, channels, products);
}

// Every thread has its own strips.
template <Act kAct, class T, class Filter>
void RunStrips(const WinogradRun& run, float* memory) {
  const int64_t per_thread = run.InputFloats() + kWorkFloats, threads = NumThreads();
  const int64_t strips = (run.plan.tiles + run.plan.strip - 1) / run.plan.strip;
  ParallelFor(threads, 1, [&](int64_t thread, int64_t last) {
    for (; thread < last; ++thread) {
      float* inputs = memory + thread * per_thread;
      for (int64_t i = strips * thread / threads; i < strips * (thread + 1) / threads; ++i) {
        const int64_t first = i * run.plan.strip;
        const int64_t count = std::min(run.plan.strip, run.plan.tiles - first);
        TransformInputs<T>(run, first, 0, count, inputs);
        for (int64_t chunk = 0; chunk * kChunk < run.plan.out; ++chunk) {
          MultiplyChunk<kAct, T, Filter>(run, first, 0, count, chunk, inputs,
                                         inputs + run.InputFloats());
        }
      }
    }
  });
}

// All threads share a strip and divide its output channels, or its tiles too.
template <Act kAct, class T, class Filter>
void ShareStrips(const WinogradRun& run, float* memory) {
  const int64_t threads = NumThreads(), chunks = (run.plan.out + kChunk - 1) / kChunk;
  for (int64_t first = 0; first < run.plan.tiles; first += run.plan.strip) {
    const int64_t count = std::min(run.plan.strip, run.plan.tiles - first);
    ParallelFor(count, 1, [&](int64_t begin, int64_t end) {
      TransformInputs<T>(run, first, begin, end, memory);
    });
    const int64_t groups = chunks % threads == 0 ? 1 : std::min(threads, count);
    ParallelFor(threads, 1, [&](int64_t thread, int64_t last) {
      for (; thread < last; ++thread) {
        float* work = memory + run.InputFloats() + thread * kWorkFloats;
        const int64_t tasks = chunks * groups;
        for (int64_t i = tasks * thread / threads; i < tasks * (thread + 1) / threads; ++i) {
          const int64_t group = i % groups;
          MultiplyChunk<kAct, T, Filter>(run, first, count * group / groups,
                                         count * (group + 1) / groups, i / groups, memory, work);
        }
      }
    });
  }
}

template <class F>
void DispatchFilterType(DType dtype, F&& f) {
  if (dtype == DType::kF16) return f(Float16{});
  DispatchActivationType(dtype, f);
}

void Winograd(const WinogradRun& run, DType filter_type, Act act, float* memory) {
  DispatchActivationType(run.x.dtype, [&](auto type) {
    DispatchFilterType(filter_type, [&](auto filter) {
      DispatchAct(act, [&](auto kind) {
        constexpr Act kAct = decltype(kind)::value;
        if (run.plan.shared) {
          ShareStrips<kAct, decltype(type), decltype(filter)>(run, memory);
        } else {
          RunStrips<kAct, decltype(type), decltype(filter)>(run, memory);
        }
      });
    });
  });
}

}  // namespace

void WinogradTarget(const WinogradRun& run, DType filter_type, Act act, float* memory) {
  Winograd(run, filter_type, act, memory);
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea {

HWY_EXPORT(WinogradTarget);

WinogradPlan::WinogradPlan(const Tensor& x, const Tensor& out_image, int threads_in)
    : out_h(out_image.shape[1]),
      out_w(out_image.shape[2]),
      in(x.shape[3]),
      out(out_image.shape[3]),
      tiles_y((out_h + kOut - 1) / kOut),
      tiles_x((out_w + kOut - 1) / kOut),
      tiles(out_image.shape[0] * tiles_y * tiles_x),
      threads(threads_in) {
  const int64_t tile_bytes = kPoints * in * static_cast<int64_t>(sizeof(float));
  const int64_t most = std::clamp<int64_t>(kStripBytes / tile_bytes, 48, kStripTiles);
  // Strips of equal size, the same number for each thread; shared ones where those were short.
  const int64_t rounds = (tiles + most * threads - 1) / (most * threads);
  strip = (tiles + rounds * threads - 1) / (rounds * threads);
  shared = strip < 48 && threads > 1;
  if (shared) strip = std::min(tiles, kStripTiles);
}

int64_t WinogradPlan::ScratchFloats() const {
  const int64_t blocks = (in + kDepth - 1) / kDepth;
  const int64_t inputs = blocks * kPoints * PlaneStride(strip, kDepth);
  return in + (shared ? inputs : inputs * threads) + threads * kWorkFloats;
}

bool WinogradServes(const Tensor& x, const Weight& weight, const Conv2dParams& params,
                    const Tensor& out) {
  const Shape& w = weight.w.shape;
  if (w[2] != 3 || w[3] != 3 || params.stride != 1 || params.dilation != 1) return false;
  if (w[0] % kWinogradLanes != 0 || w[1] % kWinogradLanes != 0) return false;
  // Fewer tiles do not pay for the transform of the filters, nor do tiles that are mostly empty. A
  // picture's tiles, not the batch's: its bytes must not depend on the others'.
  const WinogradPlan plan(x, out, 1);
  return plan.tiles >= 16 * out.shape[0] &&
         plan.tiles * kOut * kOut * 2 <= 3 * out.shape[0] * plan.out_h * plan.out_w;
}

void WinogradCpu(const WinogradPlan& plan, const Tensor& x, const void* filters, DType filter_type,
                 const Tensor& bias, const Conv2dParams& params, const Epilogue& epilogue,
                 float* scratch, const Tensor& out) {
  std::fill(scratch, scratch + plan.in, 0.0f);
  const WinogradRun run{plan,
                        x,
                        out,
                        epilogue.residual ? *epilogue.residual : Tensor{},
                        bias.Empty() ? nullptr : bias.Data<float>(),
                        params.pad_top,
                        params.pad_left,
                        filters,
                        scratch};
  HWY_DYNAMIC_DISPATCH(WinogradTarget)(run, filter_type, epilogue.act, scratch + plan.in);
}

}  // namespace fovea
#endif
