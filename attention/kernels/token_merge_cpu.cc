// Token merging for AVX2 and AVX-512, chosen at run time.
//
// The comparison is a matrix product, cut into pieces of rows whose scores stay in cache, and a
// maximum over each row. Everything else is memory-bound.
#include "attention/kernels/token_merge.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "attention/kernels/cpu_kernels.h"
#include "attention/kernels/element.h"
#include "tensor/machine/threads.h"
#include "tensor/ops/product/linear.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attention/kernels/token_merge_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace fovea {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// The first largest element of each row, -infinity where none is a number.
void RowMaxima(const float* x, int64_t rows, int64_t columns, float* top, int32_t* at) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  HWY_ALIGN float lane_top[HWY_MAX_BYTES / sizeof(float)];
  HWY_ALIGN int32_t lane_at[HWY_MAX_BYTES / sizeof(float)];
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = x + r * columns;
    auto largest = hn::Set(d, kNone);
    auto where = hn::Zero(di), here = hn::Iota(di, 0);
    const auto step = hn::Set(di, static_cast<int32_t>(lanes));
    int64_t column = 0;
    for (; column + lanes <= columns; column += lanes) {
      const auto value = hn::LoadU(d, row + column);
      const auto larger = hn::Gt(value, largest);
      largest = hn::IfThenElse(larger, value, largest);
      where = hn::IfThenElse(hn::RebindMask(di, larger), here, where);
      here = hn::Add(here, step);
    }
    hn::Store(largest, d, lane_top);
    hn::Store(where, di, lane_at);
    top[r] = kNone;
    at[r] = 0;
    for (int64_t i = 0; i < lanes; ++i) {
      if (lane_top[i] > top[r] || (lane_top[i] == top[r] && lane_at[i] < at[r])) {
        top[r] = lane_top[i];
        at[r] = lane_at[i];
      }
    }
    for (; column < columns; ++column) {
      if (!(row[column] > top[r])) continue;
      top[r] = row[column];
      at[r] = static_cast<int32_t>(column);
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fovea
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea {
namespace {

HWY_EXPORT(RowMaxima);

// Rows of x at these tokens, scaled to length 1: (count,parts * d) f32.
void GatherDirections(const Tensor& x, std::span<const int32_t> tokens, const Tensor& out) {
  const int64_t parts = x.shape[1], d = x.shape[2];
  const bool bf16 = x.dtype == DType::kBF16;
  ParallelFor(static_cast<int64_t>(tokens.size()), 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* row = out.Data<float>() + i * out.stride[0];
      double squares = 0;
      for (int64_t part = 0; part < parts; ++part) {
        const int64_t offset = tokens[static_cast<size_t>(i)] * x.stride[0] + part * x.stride[1];
        for (int64_t c = 0; c < d; ++c) {
          const float value = LoadElement(x.data, offset + c * x.stride[2], bf16);
          row[part * d + c] = value;
          squares += double{value} * value;
        }
      }
      const float inverse = squares > 0 ? static_cast<float>(1 / std::sqrt(squares)) : 0.0f;
      for (int64_t c = 0; c < parts * d; ++c) row[c] *= inverse;
    }
  });
}

}  // namespace

TokenMatching MatchTokens(Context& ctx, const Tensor& x, std::vector<int32_t> destinations) {
  const int64_t tokens = x.shape[0], width = x.shape[1] * x.shape[2];
  const int64_t targets = static_cast<int64_t>(destinations.size()), count = tokens - targets;
  ENSURE(targets > 0 && count >= 0);
  TokenMatching matching;
  matching.destinations = std::move(destinations);
  std::vector<bool> is_target(static_cast<size_t>(tokens));
  for (int32_t token : matching.destinations) is_target[static_cast<size_t>(token)] = true;
  std::vector<int32_t> sources;
  for (int32_t token = 0; token < tokens; ++token) {
    if (!is_target[static_cast<size_t>(token)]) sources.push_back(token);
  }

  ArenaScope scope(ctx.arena);
  constexpr int64_t kScores = 1 << 19;  // 2 MB
  const int64_t piece = std::clamp<int64_t>(kScores / targets, 64, std::max<int64_t>(count, 64));
  Weight weight;
  weight.w = ctx.arena.New({targets, width}, DType::kF32);
  const Tensor rows = ctx.arena.New({piece, width}, DType::kF32);
  const Tensor scores = ctx.arena.New({piece, targets}, DType::kF32);
  const bool planning = ctx.backend.IsPlanning();
  if (!planning) GatherDirections(x, matching.destinations, weight.w);
  std::vector<float> top(sources.size());
  std::vector<int32_t> at(sources.size());
  const auto row_maxima = HWY_DYNAMIC_DISPATCH(RowMaxima);
  for (int64_t first = 0; first < count; first += piece) {
    const int64_t height = std::min(piece, count - first);
    const Tensor from = rows.Slice(0, 0, height), to = scores.Slice(0, 0, height);
    const std::span<const int32_t> some(sources.data() + first, static_cast<size_t>(height));
    if (!planning) GatherDirections(x, some, from);
    ops::Linear(ctx, from, weight, to);
    if (planning) continue;
    ParallelFor(height, 16, [&](int64_t begin, int64_t end) {
      row_maxima(to.Data<float>() + begin * targets, end - begin, targets,
                 top.data() + first + begin, at.data() + first + begin);
    });
  }
  std::vector<int32_t> order(sources.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&top](int32_t a, int32_t b) {
    return top[static_cast<size_t>(a)] > top[static_cast<size_t>(b)];
  });
  for (int32_t i : order) {
    matching.sources.push_back(sources[static_cast<size_t>(i)]);
    matching.best.push_back(at[static_cast<size_t>(i)]);
  }
  return matching;
}

TokenGroups GroupTokens(const TokenMatching& matching, int64_t merged) {
  const size_t targets = matching.destinations.size(), sources = matching.sources.size();
  ENSURE(merged >= 0 && merged <= static_cast<int64_t>(sources));
  TokenGroups groups;
  groups.group.resize(targets + sources);
  for (size_t i = 0; i < targets; ++i) {
    groups.group[static_cast<size_t>(matching.destinations[i])] = static_cast<int32_t>(i);
  }
  for (size_t i = 0; i < sources; ++i) {
    const bool joins = static_cast<int64_t>(i) < merged;
    const size_t group =
        joins ? static_cast<size_t>(matching.best[i]) : targets + i - static_cast<size_t>(merged);
    groups.group[static_cast<size_t>(matching.sources[i])] = static_cast<int32_t>(group);
  }
  groups.begin.assign(targets + sources - static_cast<size_t>(merged) + 1, 0);
  for (int32_t group : groups.group) ++groups.begin[static_cast<size_t>(group) + 1];
  std::partial_sum(groups.begin.begin(), groups.begin.end(), groups.begin.begin());
  std::vector<int32_t> next(groups.begin.begin(), groups.begin.end() - 1);
  groups.members.resize(groups.group.size());
  for (size_t token = 0; token < groups.group.size(); ++token) {
    const size_t group = static_cast<size_t>(groups.group[token]);
    groups.members[static_cast<size_t>(next[group]++)] = static_cast<int32_t>(token);
  }
  return groups;
}

void MergeTokensCpu(const Tensor& x, const TokenGroups& groups, const Tensor& out) {
  const int64_t heads = x.shape[1], d = x.shape[2];
  const bool bf16 = x.dtype == DType::kBF16;
  ENSURE(out.shape[0] == groups.Count() && x.shape[0] == static_cast<int64_t>(groups.group.size()));
  ParallelFor(groups.Count(), 64, [&](int64_t first, int64_t last) {
    std::vector<float> sum(static_cast<size_t>(d));
    for (int64_t g = first; g < last; ++g) {
      const size_t begin = static_cast<size_t>(groups.begin[static_cast<size_t>(g)]);
      const size_t end = static_cast<size_t>(groups.begin[static_cast<size_t>(g) + 1]);
      const float inverse = 1.0f / static_cast<float>(end - begin);
      for (int64_t h = 0; h < heads; ++h) {
        std::fill(sum.begin(), sum.end(), 0.0f);
        for (size_t i = begin; i < end; ++i) {
          const int64_t offset = groups.members[i] * x.stride[0] + h * x.stride[1];
          for (int64_t c = 0; c < d; ++c) {
            sum[static_cast<size_t>(c)] += LoadElement(x.data, offset + c, bf16);
          }
        }
        const int64_t offset = g * out.stride[0] + h * out.stride[1];
        for (int64_t c = 0; c < d; ++c) {
          StoreElement(out.data, offset + c, bf16, sum[static_cast<size_t>(c)] * inverse);
        }
      }
    }
  });
}

void UnmergeTokensCpu(const Tensor& x, const TokenGroups& groups, const Tensor& out) {
  const int64_t heads = x.shape[1], d = x.shape[2];
  const size_t size = SizeOf(x.dtype);
  const auto* from = static_cast<const std::byte*>(x.data);
  auto* to = static_cast<std::byte*>(out.data);
  ParallelFor(out.shape[0], 64, [&](int64_t first, int64_t last) {
    for (int64_t t = first; t < last; ++t) {
      const int64_t row = groups.group[static_cast<size_t>(t)];
      for (int64_t h = 0; h < heads; ++h) {
        std::copy_n(from + static_cast<size_t>(row * x.stride[0] + h * x.stride[1]) * size,
                    static_cast<size_t>(d) * size,
                    to + static_cast<size_t>(t * out.stride[0] + h * out.stride[1]) * size);
      }
    }
  });
}

void AddShareCpu(const Tensor& x, float share, const Tensor& out) {
  const bool bf16 = out.dtype == DType::kBF16;
  ParallelFor(out.NumElements(), 1 << 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      StoreElement(out.data, i, bf16,
                   LoadElement(out.data, i, bf16) + share * LoadElement(x.data, i, bf16));
    }
  });
}

}  // namespace fovea
#endif  // HWY_ONCE
