#include "attention/kernels/tile/score_block.h"

#include <cmath>
#include <limits>

#include "tensor/dtype.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attention/kernels/tile/score_block_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

#include "attention/kernels/online_softmax-inl.h"
#include "tensor/cpu/load_store-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fovea {
namespace HWY_NAMESPACE {
namespace {

constexpr float kLog2E = 1.44269504f;

template <class T>
const T* RowOf(const KeyRows& k, int64_t key) {
  return reinterpret_cast<const T*>(k.base) + key * k.stride;
}

template <class T>
void ScoreKeys(const float* q, const KeyRows& k, int64_t d, const int32_t* keys, int64_t count,
               float scale, float* scores) {
  const F32 f;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(f));
  // What whole vectors leave of a row is read as the row's last vector, whose first part counts 0.
  const int64_t rest = d % lanes;
  HWY_ALIGN float last[HWY_MAX_BYTES / sizeof(float)] = {};
  for (int64_t c = 0; c < rest && d >= lanes; ++c) last[lanes - rest + c] = q[d - rest + c];
  const VF32 q_last = hn::Load(f, last);
  constexpr int64_t kAhead = 8;  // rows that are on their way from memory
  const auto key = [keys](int64_t i) { return keys == nullptr ? i : int64_t{keys[i]}; };
  for (int64_t i = 0; i < count; ++i) {
    const T* row = RowOf<T>(k, key(i));
    if (i + kAhead < count) {
      const T* next = RowOf<T>(k, key(i + kAhead));
      for (int64_t c = 0; c < d; c += 64 / static_cast<int64_t>(sizeof(T))) {
        __builtin_prefetch(next + c);
      }
    }
    VF32 sum0 = hn::Zero(f), sum1 = hn::Zero(f);
    int64_t c = 0;
    for (; c + 2 * lanes <= d; c += 2 * lanes) {
      sum0 = hn::MulAdd(hn::LoadU(f, q + c), LoadF32(f, row + c), sum0);
      sum1 = hn::MulAdd(hn::LoadU(f, q + c + lanes), LoadF32(f, row + c + lanes), sum1);
    }
    for (; c + lanes <= d; c += lanes) {
      sum0 = hn::MulAdd(hn::LoadU(f, q + c), LoadF32(f, row + c), sum0);
    }
    if (rest > 0 && d >= lanes) {
      sum1 = hn::MulAdd(q_last, LoadF32(f, row + d - lanes), sum1);
    } else if (rest > 0) {
      const size_t part = static_cast<size_t>(rest);
      sum1 = hn::MulAdd(LoadPart(f, q, part), LoadPart(f, row, part), sum1);
    }
    scores[i] = scale * hn::GetLane(hn::SumOfLanes(f, hn::Add(sum0, sum1)));
  }
}

// Columns [0, kScoreQueries) in strips of four vectors or fewer, two keys at a time.
template <class T>
void ScoreBlock(const float* q, const KeyRows& k, int64_t d, const int32_t* keys, int64_t count,
                float* scores) {
  const F32 f;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(f));
  const int64_t strip = kScoreQueries < 4 * lanes ? kScoreQueries : 4 * lanes;
  const auto value = [](const T* row, int64_t c) {
    if constexpr (sizeof(T) == 2) {
      return ToFloat(row[c]);
    } else {
      return row[c];
    }
  };
  for (int64_t i = 0; i < count; i += 2) {
    const T* row0 = RowOf<T>(k, keys[i]);
    const T* row1 = RowOf<T>(k, keys[i + 1 < count ? i + 1 : i]);
    for (int64_t column = 0; column < kScoreQueries; column += strip) {
      if (strip == 4 * lanes) {
        VF32 a0 = hn::Zero(f), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
        const float* from = q + column;
        for (int64_t c = 0; c < d; ++c, from += kScoreQueries) {
          const VF32 x = hn::Set(f, value(row0, c)), y = hn::Set(f, value(row1, c));
          const VF32 q0 = hn::LoadU(f, from), q1 = hn::LoadU(f, from + lanes);
          const VF32 q2 = hn::LoadU(f, from + 2 * lanes), q3 = hn::LoadU(f, from + 3 * lanes);
          a0 = hn::MulAdd(q0, x, a0), b0 = hn::MulAdd(q0, y, b0);
          a1 = hn::MulAdd(q1, x, a1), b1 = hn::MulAdd(q1, y, b1);
          a2 = hn::MulAdd(q2, x, a2), b2 = hn::MulAdd(q2, y, b2);
          a3 = hn::MulAdd(q3, x, a3), b3 = hn::MulAdd(q3, y, b3);
        }
        const auto store = [&](float* to, VF32 s0, VF32 s1, VF32 s2, VF32 s3) {
          hn::StoreU(s0, f, to), hn::StoreU(s1, f, to + lanes);
          hn::StoreU(s2, f, to + 2 * lanes), hn::StoreU(s3, f, to + 3 * lanes);
        };
        store(scores + i * kScoreQueries + column, a0, a1, a2, a3);
        if (i + 1 < count) store(scores + (i + 1) * kScoreQueries + column, b0, b1, b2, b3);
      } else {  // vectors wider than 16 lanes
        for (int64_t at = column; at < column + strip; at += lanes) {
          VF32 a = hn::Zero(f), b = a;
          for (int64_t c = 0; c < d; ++c) {
            const VF32 each = hn::LoadU(f, q + c * kScoreQueries + at);
            a = hn::MulAdd(each, hn::Set(f, value(row0, c)), a);
            b = hn::MulAdd(each, hn::Set(f, value(row1, c)), b);
          }
          hn::StoreU(a, f, scores + i * kScoreQueries + at);
          if (i + 1 < count) hn::StoreU(b, f, scores + (i + 1) * kScoreQueries + at);
        }
      }
    }
  }
}

void ScoreKeysF32(const float* q, const KeyRows& k, int64_t d, const int32_t* keys, int64_t count,
                  float scale, float* scores) {
  ScoreKeys<float>(q, k, d, keys, count, scale, scores);
}
void ScoreKeysBf16(const float* q, const KeyRows& k, int64_t d, const int32_t* keys, int64_t count,
                   float scale, float* scores) {
  ScoreKeys<BFloat16>(q, k, d, keys, count, scale, scores);
}
void ScoreBlockF32(const float* q, const KeyRows& k, int64_t d, const int32_t* keys, int64_t count,
                   float* scores) {
  ScoreBlock<float>(q, k, d, keys, count, scores);
}
void ScoreBlockBf16(const float* q, const KeyRows& k, int64_t d, const int32_t* keys, int64_t count,
                    float* scores) {
  ScoreBlock<BFloat16>(q, k, d, keys, count, scores);
}

// 2^(x log2(e) - base), 0 for x = -infinity, NaN for NaN.
HWY_INLINE VF32 Power(F32 f, VF32 x, VF32 base) {
  const VF32 hidden = hn::Set(f, -std::numeric_limits<float>::infinity());
  const VF32 y = Exp2<5>(f, hn::Sub(hn::Mul(x, hn::Set(f, kLog2E)), base));
  return hn::IfThenElse(hn::Eq(x, hidden), hn::Zero(f), y);
}

// Over vectors of any number of scores, the last one part of a vector. `body(vector)` gives what is
// stored back.
template <class Body>
HWY_INLINE void EachVector(float* x, int64_t count, float fill, const Body& body) {
  const F32 f;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(f));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) hn::StoreU(body(hn::LoadU(f, x + i)), f, x + i);
  if (i == count) return;
  HWY_ALIGN float part[HWY_MAX_BYTES / sizeof(float)];
  hn::Store(hn::Set(f, fill), f, part);
  for (int64_t k = i; k < count; ++k) part[k - i] = x[k];
  hn::Store(body(hn::Load(f, part)), f, part);
  for (int64_t k = i; k < count; ++k) x[k] = part[k - i];
}

float SoftmaxRow(float* scores, int64_t count) {
  const F32 f;
  constexpr float kHidden = -std::numeric_limits<float>::infinity();
  VF32 top = hn::Set(f, kHidden);
  bool is_nan = false;
  EachVector(scores, count, kHidden, [&](VF32 x) {
    top = hn::Max(top, x);
    is_nan = is_nan || !hn::AllFalse(f, hn::IsNaN(x));
    return x;
  });
  const float max = hn::GetLane(hn::MaxOfLanes(f, top));
  if (is_nan || max == kHidden) {
    const float rest = is_nan ? std::numeric_limits<float>::quiet_NaN() : 0.0f;
    for (int64_t i = 0; i < count; ++i) scores[i] = rest;
    return is_nan ? rest : kHidden;
  }
  const VF32 base = hn::Set(f, max * kLog2E);
  VF32 sums = hn::Zero(f);
  EachVector(scores, count, kHidden, [&](VF32 x) {
    const VF32 y = Power(f, x, base);
    sums = hn::Add(sums, y);
    return y;
  });
  const float sum = hn::GetLane(hn::SumOfLanes(f, sums));
  const VF32 factor = hn::Set(f, 1 / sum);
  EachVector(scores, count, 0, [&](VF32 x) { return hn::Mul(x, factor); });
  return max + std::log(sum);
}

void SoftmaxBlock(float* scores, int64_t count) {
  const F32 f;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(f));
  const VF32 hidden = hn::Set(f, -std::numeric_limits<float>::infinity());
  const VF32 lowest = hn::Set(f, -std::numeric_limits<float>::max());
  for (int64_t column = 0; column < kScoreQueries; column += lanes) {
    VF32 top = hidden;
    for (int64_t i = 0; i < count; ++i) {
      top = hn::Max(hn::LoadU(f, scores + i * kScoreQueries + column), top);
    }
    const VF32 base = hn::Mul(hn::Max(top, lowest), hn::Set(f, kLog2E));
    VF32 sum = hn::Zero(f);
    for (int64_t i = 0; i < count; ++i) {
      float* at = scores + i * kScoreQueries + column;
      const VF32 y = Power(f, hn::LoadU(f, at), base);
      sum = hn::Add(sum, y);
      hn::StoreU(y, f, at);
    }
    const VF32 none = hn::Zero(f);
    const VF32 factor = hn::IfThenElse(hn::Eq(sum, none), none, hn::Div(hn::Set(f, 1.0f), sum));
    for (int64_t i = 0; i < count; ++i) {
      float* at = scores + i * kScoreQueries + column;
      hn::StoreU(hn::Mul(hn::LoadU(f, at), factor), f, at);
    }
  }
}

WeightSums SumWeights(const float* weights, int64_t count, const float* values) {
  const F32 f;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(f));
  const VF32 zero = hn::Zero(f), least = hn::Set(f, 1e-37f);
  VF32 sum = zero, with_log = zero, with_value = zero, strange = zero;
  const auto add = [&](VF32 x, VF32 value) {
    const VF32 seen = hn::IfThenElse(hn::Gt(x, zero), x, zero);
    sum = hn::Add(sum, seen);
    with_log = hn::MulAdd(seen, hn::Log(f, hn::Max(seen, least)), with_log);
    with_value = hn::MulAdd(seen, value, with_value);
    strange = hn::MulAdd(x, zero, strange);  // NaN stays
  };
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    add(hn::LoadU(f, weights + i), values == nullptr ? zero : hn::LoadU(f, values + i));
  }
  if (i < count) {
    const auto rest = static_cast<size_t>(count - i);
    add(LoadPart(f, weights + i, rest), values == nullptr ? zero : LoadPart(f, values + i, rest));
  }
  const auto total = [&](VF32 x) {
    return static_cast<double>(hn::GetLane(hn::SumOfLanes(f, hn::Add(x, strange))));
  };
  return {total(sum), total(with_log), total(with_value)};
}

void ExpMinus(float* x, int64_t count, float lse) {
  const F32 f;
  const VF32 base = hn::Set(f, lse * kLog2E);
  EachVector(x, count, 0, [&](VF32 each) { return Power(f, each, base); });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fovea
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea {
namespace {

HWY_EXPORT(ScoreKeysF32);
HWY_EXPORT(ScoreKeysBf16);
HWY_EXPORT(ScoreBlockF32);
HWY_EXPORT(ScoreBlockBf16);
HWY_EXPORT(SoftmaxRow);
HWY_EXPORT(SoftmaxBlock);
HWY_EXPORT(ExpMinus);
HWY_EXPORT(SumWeights);

}  // namespace

void ScoreKeysCpu(const float* q, const KeyRows& k, bool bf16, int64_t d, const int32_t* keys,
                  int64_t count, float scale, float* scores) {
  const auto run = bf16 ? HWY_DYNAMIC_DISPATCH(ScoreKeysBf16) : HWY_DYNAMIC_DISPATCH(ScoreKeysF32);
  run(q, k, d, keys, count, scale, scores);
}

void ScoreBlockCpu(const float* q, const KeyRows& k, bool bf16, int64_t d, const int32_t* keys,
                   int64_t count, float* scores) {
  const auto run =
      bf16 ? HWY_DYNAMIC_DISPATCH(ScoreBlockBf16) : HWY_DYNAMIC_DISPATCH(ScoreBlockF32);
  run(q, k, d, keys, count, scores);
}

float SoftmaxRowCpu(float* scores, int64_t count) {
  return HWY_DYNAMIC_DISPATCH(SoftmaxRow)(scores, count);
}

void SoftmaxBlockCpu(float* scores, int64_t count) {
  HWY_DYNAMIC_DISPATCH(SoftmaxBlock)(scores, count);
}

WeightSums SumWeightsCpu(const float* weights, int64_t count, const float* values) {
  return HWY_DYNAMIC_DISPATCH(SumWeights)(weights, count, values);
}

void ExpMinusCpu(float* x, int64_t count, float lse) {
  HWY_DYNAMIC_DISPATCH(ExpMinus)(x, count, lse);
}

}  // namespace fovea
#endif  // HWY_ONCE
