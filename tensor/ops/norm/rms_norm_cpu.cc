// Root-mean-square norm: a row is read twice, the second time from the first-level cache.
#include <algorithm>
#include <cmath>

#include "tensor/cpu/dispatch.h"
#include "tensor/cpu/kernels.h"
#include "tensor/cpu/rows.h"
#include "tensor/machine/threads.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/norm/rms_norm_cpu.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "tensor/cpu/load_store-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fovea {
namespace HWY_NAMESPACE {

// In four chains of vectors: short chains round less.
template <class T>
float SumOfSquares(const T* x, int64_t c) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto square = [&](VF32 sum, const T* p) {
    const VF32 v = LoadF32(d, p);
    return hn::MulAdd(v, v, sum);
  };
  VF32 s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  int64_t i = 0;
  for (; i + 4 * lanes <= c; i += 4 * lanes) {
    s0 = square(s0, x + i);
    s1 = square(s1, x + i + lanes);
    s2 = square(s2, x + i + 2 * lanes);
    s3 = square(s3, x + i + 3 * lanes);
  }
  for (; i + lanes <= c; i += lanes) s0 = square(s0, x + i);
  if (i < c) {
    const VF32 v = LoadPart(d, x + i, static_cast<size_t>(c - i));
    s1 = hn::MulAdd(v, v, s1);
  }
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3))));
}

template <class T>
void ScaleRow(const T* x, const float* gamma, float scale, int64_t c, T* out) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const VF32 s = hn::Set(d, scale);
  int64_t i = 0;
  for (; i + lanes <= c; i += lanes) {
    VF32 y = hn::Mul(LoadF32(d, x + i), s);
    if (gamma) y = hn::Mul(y, hn::LoadU(d, gamma + i));
    StoreF32(d, y, out + i);
  }
  if (i < c) {
    const size_t rest = static_cast<size_t>(c - i);
    VF32 y = hn::Mul(LoadPart(d, x + i, rest), s);
    if (gamma) y = hn::Mul(y, LoadPart(d, gamma + i, rest));
    StorePart(d, y, out + i, rest);
  }
}

// How many successive rows, from a multiple of that number on, lie one behind the other, if they
// are short, as those of heads are: the divisions of RowOffset cost more than a row of 16 elements
// does.
int64_t RowsTogether(const Tensor& t) {
  constexpr int64_t kMostElements = 8192;
  if (t.shape.rank < 2 || t.stride[t.shape.rank - 2] != RowLength(t)) return 1;
  const int64_t rows = t.shape[-2];
  return rows > 0 && rows * RowLength(t) <= kMostElements ? rows : 1;
}

void RmsNorm(const Tensor& x, const Tensor& gamma, float eps, const Tensor& out) {
  const int64_t c = RowLength(x);
  const float* g = gamma.Empty() ? nullptr : gamma.Data<float>();
  DispatchActivationType(x.dtype, [&](auto type) {
    using T = decltype(type);
    const T* from = x.Data<T>();
    T* to = out.Data<T>();
    const int64_t together = std::min(RowsTogether(x), RowsTogether(out));
    ParallelFor(RowCount(x) / together, 1 + 4096 / (c * together), [&](int64_t begin, int64_t end) {
      for (int64_t group = begin; group < end; ++group) {
        const T* px = from + RowOffset(x, group * together);
        T* py = to + RowOffset(out, group * together);
        for (int64_t i = 0; i < together; ++i, px += c, py += c) {
          const float mean = SumOfSquares(px, c) / static_cast<float>(c);
          ScaleRow(px, g, 1.0f / std::sqrt(mean + eps), c, py);
        }
      }
    });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea {

HWY_EXPORT(RmsNorm);

void RmsNormCpu(const Tensor& x, const Tensor& gamma, float eps, const Tensor& out) {
  HWY_DYNAMIC_DISPATCH(RmsNorm)(x, gamma, eps, out);
}

}  // namespace fovea
#endif
