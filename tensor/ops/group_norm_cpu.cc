// Group normalisation on channels-last data: one read for the statistics, one read and one write to
// apply them; 6 FLOPs per element without the activation.
//
// The image is cut into blocks of rows that fit the second-level cache. A block is read from memory
// once: first for the mean of each group, then, from the cache, for the deviations from that mean.
// Blocks are merged in double precision in their order (Chan, Golub, LeVeque 1979). Nothing depends
// on the number of threads.
#include <algorithm>
#include <cmath>

#include "tensor/cpu/dispatch.h"
#include "tensor/cpu/kernels.h"
#include "tensor/threads.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/group_norm_cpu.cc"
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
  int64_t n, pixels, c, groups, block_pixels, blocks;

  GroupNormPlan(const Tensor& x, int group_count)
      : n(x.shape[0]), c(x.shape[-1]), groups(group_count) {
    constexpr int64_t kBlockBytes = 128 * 1024;  // a quarter of a small second-level cache
    pixels = n * c == 0 ? 0 : x.NumElements() / (n * c);
    block_pixels = std::clamp<int64_t>(kBlockBytes / (4 * std::max<int64_t>(c, 1)), 4, 1024);
    blocks = (pixels + block_pixels - 1) / block_pixels;
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

// sums[ch] = sum over the pixels of x[pixel][ch].
template <class T>
void SumPixels(const T* x, int64_t pixels, int64_t c, float* sums) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  std::fill(sums, sums + c, 0.0f);
  const int64_t whole = c / lanes * lanes;
  int64_t p = 0;
  for (; p + 4 <= pixels; p += 4) {
    const T* r0 = x + p * c;
    for (int64_t i = 0; i < whole; i += lanes) {
      const VF32 v = hn::Add(hn::Add(LoadF32(d, r0 + i), LoadF32(d, r0 + c + i)),
                             hn::Add(LoadF32(d, r0 + 2 * c + i), LoadF32(d, r0 + 3 * c + i)));
      hn::StoreU(hn::Add(hn::LoadU(d, sums + i), v), d, sums + i);
    }
  }
  for (; p < pixels; ++p) {
    for (int64_t i = 0; i < whole; i += lanes) {
      hn::StoreU(hn::Add(hn::LoadU(d, sums + i), LoadF32(d, x + p * c + i)), d, sums + i);
    }
  }
  if (whole < c) {
    const size_t rest = static_cast<size_t>(c - whole);
    VF32 sum = hn::Zero(d);
    for (p = 0; p < pixels; ++p) sum = hn::Add(sum, LoadPart(d, x + p * c + whole, rest));
    StorePart(d, sum, sums + whole, rest);
  }
}

// For up to a vector of channels: sums over pixels of (x - center) and of its square.
template <class T, class Load>
HWY_INLINE void Deviations(const T* x, int64_t pixels, int64_t c, VF32 center, Load load,
                           float* sum, float* square) {
  const F32 d;
  VF32 s0 = hn::Zero(d), s1 = s0, q0 = s0, q1 = s0;
  int64_t p = 0;
  for (; p + 2 <= pixels; p += 2) {
    const VF32 v0 = hn::Sub(load(x + p * c), center);
    const VF32 v1 = hn::Sub(load(x + (p + 1) * c), center);
    s0 = hn::Add(s0, v0);
    s1 = hn::Add(s1, v1);
    q0 = hn::MulAdd(v0, v0, q0);
    q1 = hn::MulAdd(v1, v1, q1);
  }
  if (p < pixels) {
    const VF32 v = hn::Sub(load(x + p * c), center);
    s0 = hn::Add(s0, v);
    q0 = hn::MulAdd(v, v, q0);
  }
  hn::StoreU(hn::Add(s0, s1), d, sum);
  hn::StoreU(hn::Add(q0, q1), d, square);
}

// Moments of every group over one block. `add` (c) is added to every pixel, or null. `center` (c)
// is scratch.
template <class T>
void BlockMoments(const T* x, const T* add, int64_t pixels, int64_t c, int64_t groups,
                  float* center, Moments* moments) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t per_group = c / groups;
  const double count = static_cast<double>(pixels * per_group);
  const auto added = [add](int64_t ch) {
    if constexpr (std::is_same_v<T, float>) {
      return add ? add[ch] : 0.0f;
    } else {
      return add ? ToFloat(add[ch]) : 0.0f;
    }
  };
  SumPixels(x, pixels, c, center);
  for (int64_t g = 0; g < groups; ++g) {
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
  HWY_ALIGN float sums[HWY_MAX_BYTES / sizeof(float)];
  HWY_ALIGN float squares[HWY_MAX_BYTES / sizeof(float)];
  for (int64_t i = 0; i < c; i += lanes) {
    const int64_t width = std::min(lanes, c - i);
    if (width == lanes) {
      Deviations(
          x + i, pixels, c, hn::LoadU(d, center + i), [d](const T* p) { return LoadF32(d, p); },
          sums, squares);
    } else {
      const size_t rest = static_cast<size_t>(width);
      Deviations(
          x + i, pixels, c, LoadPart(d, center + i, rest),
          [d, rest](const T* p) { return LoadPart(d, p, rest); }, sums, squares);
    }
    for (int64_t lane = 0; lane < width; ++lane) take(sums[lane], squares[lane], i + lane);
  }
}

template <Act kAct, class T>
void ApplyAffine(const T* x, const float* scale, const float* shift, int64_t c, T* out) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= c; i += lanes) {
    const VF32 y = hn::MulAdd(LoadF32(d, x + i), hn::LoadU(d, scale + i), hn::LoadU(d, shift + i));
    StoreF32(d, ApplyAct<kAct>(d, y), out + i);
  }
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
    ParallelFor(plan.n * plan.blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t n = i / plan.blocks;
        const int64_t pixel = i % plan.blocks * plan.block_pixels;
        BlockMoments(from + (n * plan.pixels + pixel) * c,
                     add ? add + n * params.add.stride[0] : nullptr,
                     std::min(plan.block_pixels, plan.pixels - pixel), c, plan.groups,
                     centers + i * c, moments + i * plan.groups);
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
