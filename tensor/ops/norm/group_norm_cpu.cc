// Group normalisation on channels-last data: one read for the statistics, one read and one write to
// apply them; 6 FLOPs per element without the activation.
//
// The image is cut into blocks, some pixels by some groups, that fit the second-level cache. A
// block is read from memory once: first for the mean of each group, then, from the cache, for the
// deviations from that mean. Blocks have many pixels and few channels, since work per channel is in
// double precision. They are merged in their order (Chan, Golub, LeVeque 1979). Nothing depends on
// the number of threads.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "tensor/cpu/dispatch.h"
#include "tensor/cpu/kernels.h"
#include "tensor/machine/threads.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/norm/group_norm_cpu.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "tensor/cpu/activation-inl.h"

#ifndef FOVEA_TENSOR_OPS_GROUP_NORM_CPU_ONCE_
#define FOVEA_TENSOR_OPS_GROUP_NORM_CPU_ONCE_
namespace fovea {

struct Moments {
  double mean;  // of one group in one block
  double m2;    // sum of squared deviations from it
};

// How an image is cut, and where the pieces of scratch memory lie.
struct GroupNormPlan {
  int64_t n, pixels, c, groups, block_pixels, blocks, chunk, chunks;

  GroupNormPlan(const Tensor& x, int group_count)
      : n(x.shape[0]), c(x.shape[-1]), groups(group_count) {
    constexpr int64_t kBlockPixels = 256, kBlockChannels = 128;
    constexpr int64_t kVector = 16;  // chunks are whole vectors where groups allow it
    pixels = n * c == 0 ? 0 : x.NumElements() / (n * c);
    block_pixels = std::min(std::max<int64_t>(pixels, 1), kBlockPixels);
    blocks = (pixels + block_pixels - 1) / block_pixels;
    const int64_t unit = std::lcm(std::max<int64_t>(PerGroup(), 1), kVector);
    chunk = std::min(c, (kBlockChannels + unit - 1) / unit * unit);
    chunks = c == 0 ? 0 : (c + chunk - 1) / chunk;
  }
  int64_t PerGroup() const { return c / groups; }
  int64_t MomentCount() const { return n * blocks * groups; }
  int64_t CenterCount() const { return n * blocks * c; }
  int64_t AffineCount() const { return n * c; }
};

}  // namespace fovea
#endif

HWY_BEFORE_NAMESPACE();
namespace fovea {
namespace HWY_NAMESPACE {

// sums[ch] = sum over the pixels of x[pixel][ch], `c` of them; pixels are `stride` apart.
template <class T>
void SumPixels(const T* x, int64_t pixels, int64_t stride, int64_t c, float* sums) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  std::fill(sums, sums + c, 0.0f);
  const int64_t whole = c / lanes * lanes;
  int64_t p = 0;
  for (; p + 8 <= pixels; p += 8) {
    const T* row = x + p * stride;
    for (int64_t i = 0; i < whole; i += lanes) {
      const auto pair = [=](int64_t r) {
        return hn::Add(LoadF32(d, row + r * stride + i), LoadF32(d, row + (r + 1) * stride + i));
      };
      const VF32 v = hn::Add(hn::Add(pair(0), pair(2)), hn::Add(pair(4), pair(6)));
      hn::StoreU(hn::Add(hn::LoadU(d, sums + i), v), d, sums + i);
    }
  }
  for (; p < pixels; ++p) {
    for (int64_t i = 0; i < whole; i += lanes) {
      hn::StoreU(hn::Add(hn::LoadU(d, sums + i), LoadF32(d, x + p * stride + i)), d, sums + i);
    }
  }
  if (whole < c) {
    const size_t rest = static_cast<size_t>(c - whole);
    VF32 sum = hn::Zero(d);
    for (p = 0; p < pixels; ++p) sum = hn::Add(sum, LoadPart(d, x + p * stride + whole, rest));
    StorePart(d, sum, sums + whole, rest);
  }
}

#if HWY_TARGET <= HWY_AVX3
constexpr int kColumns = 4;  // vectors of channels with their sums in registers
#else
constexpr int kColumns = 2;
#endif

// For kV vectors of channels: sums over pixels of (x - center) and of its square. load(p) is a
// vector from p on.
template <int kV, class T, class Load>
HWY_INLINE void Deviations(const T* x, int64_t pixels, int64_t stride, const float* center,
                           Load load, float* sum, float* square) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  VF32 middle[kV], s[2][kV], q[2][kV];
  for (int v = 0; v < kV; ++v) {
    middle[v] = hn::LoadU(d, center + v * lanes);
    s[0][v] = s[1][v] = q[0][v] = q[1][v] = hn::Zero(d);
  }
  const auto add = [&](int64_t p, int chain) {
    for (int v = 0; v < kV; ++v) {
      const VF32 value = hn::Sub(load(x + p * stride + v * lanes), middle[v]);
      s[chain][v] = hn::Add(s[chain][v], value);
      q[chain][v] = hn::MulAdd(value, value, q[chain][v]);
    }
  };
  int64_t p = 0;
  for (; p + 2 <= pixels; p += 2) {
    add(p, 0);
    add(p + 1, 1);
  }
  if (p < pixels) add(p, 0);
  for (int v = 0; v < kV; ++v) {
    hn::StoreU(hn::Add(s[0][v], s[1][v]), d, sum + v * lanes);
    hn::StoreU(hn::Add(q[0][v], q[1][v]), d, square + v * lanes);
  }
}

// Moments of every group over one block of `c` channels. `add` (c) is added to every pixel, or
// null. `center` (c) is scratch.
template <class T>
void BlockMoments(const T* x, const T* add, int64_t pixels, int64_t stride, int64_t c,
                  int64_t per_group, float* center, Moments* moments) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const double count = static_cast<double>(pixels * per_group);
  const auto added = [add](int64_t ch) {
    if constexpr (std::is_same_v<T, float>) {
      return add ? add[ch] : 0.0f;
    } else {
      return add ? ToFloat(add[ch]) : 0.0f;
    }
  };
  SumPixels(x, pixels, stride, c, center);
  for (int64_t g = 0; g * per_group < c; ++g) {
    double sum = 0;
    for (int64_t ch = g * per_group; ch < (g + 1) * per_group; ++ch) {
      sum += center[ch] + static_cast<double>(added(ch)) * static_cast<double>(pixels);
    }
    const double mean = sum / count;
    moments[g] = {mean, 0};
    for (int64_t ch = g * per_group; ch < (g + 1) * per_group; ++ch) {
      center[ch] = static_cast<float>(mean - added(ch));
    }
  }
  // What the rounding of the centers leaves in the sums of deviations corrects mean and square.
  double offset = 0, square = 0;
  int64_t g = 0, left = per_group;
  const auto take = [&](float s, float q, int64_t ch) {
    // The center of this channel stands for a mean of center + add, known to double precision.
    const double shift = center[ch] + static_cast<double>(added(ch)) - moments[g].mean;
    const double n = static_cast<double>(pixels);
    offset += s + n * shift;
    square += q + 2 * shift * s + n * shift * shift;
    if (--left > 0) return;
    moments[g].mean += offset / count;
    moments[g].m2 = std::max(0.0, square - offset * offset / count);
    offset = square = 0;
    left = per_group;
    ++g;
  };
  HWY_ALIGN float sums[kColumns * HWY_MAX_BYTES / sizeof(float)] = {};
  HWY_ALIGN float squares[kColumns * HWY_MAX_BYTES / sizeof(float)] = {};
  int64_t i = 0;
  const auto take_vectors = [&](int64_t width) {
    for (int64_t lane = 0; lane < width; ++lane) take(sums[lane], squares[lane], i + lane);
    i += width;
  };
  const auto whole = [d](const T* p) { return LoadF32(d, p); };
  while (i + kColumns * lanes <= c) {
    Deviations<kColumns>(x + i, pixels, stride, center + i, whole, sums, squares);
    take_vectors(kColumns * lanes);
  }
  while (i + lanes <= c) {
    Deviations<1>(x + i, pixels, stride, center + i, whole, sums, squares);
    take_vectors(lanes);
  }
  if (i < c) {
    const size_t rest = static_cast<size_t>(c - i);
    HWY_ALIGN float last[HWY_MAX_BYTES / sizeof(float)] = {};
    std::copy(center + i, center + c, last);
    Deviations<1>(
        x + i, pixels, stride, last, [d, rest](const T* p) { return LoadPart(d, p, rest); }, sums,
        squares);
    take_vectors(c - i);
  }
}

template <Act kAct, class T>
void ApplyAffine(const T* x, const float* scale, const float* shift, int64_t c, T* out) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  const auto apply = [&](auto vectors) {
    constexpr int kN = decltype(vectors)::value;
    VF32 y[kN];
    ForVectors<kN>([&](int v) {
      const int64_t at = i + v * lanes;
      y[v] = hn::MulAdd(LoadF32(d, x + at), hn::LoadU(d, scale + at), hn::LoadU(d, shift + at));
    });
    ApplyActs<kAct, kN>(d, y);
    ForVectors<kN>([&](int v) { StoreF32(d, y[v], out + i + v * lanes); });
    i += kN * lanes;
  };
  while (i + kActVectors * lanes <= c) apply(std::integral_constant<int, kActVectors>{});
  while (i + lanes <= c) apply(std::integral_constant<int, 1>{});
  if (i < c) {
    const size_t rest = static_cast<size_t>(c - i);
    const VF32 y = hn::MulAdd(LoadPart(d, x + i, rest), LoadPart(d, scale + i, rest),
                              LoadPart(d, shift + i, rest));
    StorePart(d, ApplyAct<kAct>(d, y), out + i, rest);
  }
}

// The normalisation of sample n as one multiplication and addition per channel.
template <class T>
void MakeAffine(const GroupNormPlan& plan, const GroupNormParams& params, const Moments* moments,
                int64_t n, float* scale, float* shift) {
  const auto value = [&](const Tensor& t, int64_t ch) {  // t (n, c)
    if (t.Empty()) return 0.0;
    const T v = t.Data<T>()[n * t.stride[0] + ch];
    if constexpr (std::is_same_v<T, float>) {
      return static_cast<double>(v);
    } else {
      return static_cast<double>(ToFloat(v));
    }
  };
  const float* gamma = params.gamma.Data<float>();
  const float* beta = params.beta.Data<float>();
  for (int64_t g = 0; g < plan.groups; ++g) {
    double count = 0, mean = 0, m2 = 0;
    for (int64_t b = 0; b < plan.blocks; ++b) {
      const Moments& block = moments[(n * plan.blocks + b) * plan.groups + g];
      const int64_t pixels = std::min(plan.block_pixels, plan.pixels - b * plan.block_pixels);
      const double more = static_cast<double>(pixels * plan.PerGroup());
      const double delta = block.mean - mean;
      mean += delta * more / (count + more);
      m2 += block.m2 + delta * delta * count * more / (count + more);
      count += more;
    }
    const double inverse = 1.0 / std::sqrt(m2 / count + params.eps);
    for (int64_t ch = g * plan.PerGroup(); ch < (g + 1) * plan.PerGroup(); ++ch) {
      const double factor = 1.0 + value(params.scale, ch);
      scale[ch] = static_cast<float>(inverse * gamma[ch] * factor);
      shift[ch] = static_cast<float>(
          ((value(params.add, ch) - mean) * inverse * gamma[ch] + beta[ch]) * factor +
          value(params.shift, ch));
    }
  }
}

void GroupNorm(const Tensor& x, const GroupNormParams& params, void* scratch, const Tensor& out) {
  const GroupNormPlan plan(x, params.groups);
  const int64_t c = plan.c;
  auto* moments = static_cast<Moments*>(scratch);
  auto* centers = reinterpret_cast<float*>(moments + plan.MomentCount());
  float* scales = centers + plan.CenterCount();
  float* shifts = scales + plan.AffineCount();
  DispatchActivationType(x.dtype, [&](auto type) {
    using T = decltype(type);
    const T* from = x.Data<T>();
    T* to = out.Data<T>();
    const T* add = params.add.Empty() ? nullptr : params.add.Data<T>();
    ParallelFor(plan.n * plan.blocks * plan.chunks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t block = i / plan.chunks, n = block / plan.blocks;
        const int64_t pixel = block % plan.blocks * plan.block_pixels;
        const int64_t first = i % plan.chunks * plan.chunk;
        BlockMoments(from + (n * plan.pixels + pixel) * c + first,
                     add ? add + n * params.add.stride[0] + first : nullptr,
                     std::min(plan.block_pixels, plan.pixels - pixel), c,
                     std::min(plan.chunk, c - first), plan.PerGroup(), centers + block * c + first,
                     moments + block * plan.groups + first / plan.PerGroup());
      }
    });
    for (int64_t n = 0; n < plan.n; ++n) {
      MakeAffine<T>(plan, params, moments, n, scales + n * c, shifts + n * c);
    }
    DispatchAct(params.act, [&](auto kind) {
      ParallelFor(plan.n * plan.pixels, 1 + 4096 / c, [=](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          const int64_t n = row / plan.pixels;
          ApplyAffine<decltype(kind)::value>(from + row * c, scales + n * c, shifts + n * c, c,
                                             to + row * c);
        }
      });
    });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea {

HWY_EXPORT(GroupNorm);

int64_t GroupNormScratchBytes(const Tensor& x, int groups) {
  const GroupNormPlan plan(x, groups);
  return plan.MomentCount() * static_cast<int64_t>(sizeof(Moments)) +
         (plan.CenterCount() + 2 * plan.AffineCount()) * static_cast<int64_t>(sizeof(float));
}

void GroupNormCpu(const Tensor& x, const GroupNormParams& params, void* scratch,
                  const Tensor& out) {
  HWY_DYNAMIC_DISPATCH(GroupNorm)(x, params, scratch, out);
}

}  // namespace fovea
#endif
