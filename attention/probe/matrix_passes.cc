#include "attention/probe/matrix_passes.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>

#include "attention/kernels/tile/score_block.h"
#include "tensor/error.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

constexpr int64_t kBlock = 64;  // rows that are computed together

const Segment* GridIn(const TokenLayout& layout) {
  for (const Segment& segment : layout) {
    if (segment.kind == SegmentKind::kGrid) return &segment;
  }
  return nullptr;
}

}  // namespace

void ForEachRow(const AttentionMatrix& matrix, int64_t sample, int64_t head,
                std::span<const int32_t> queries,
                const std::function<void(int, int32_t, std::span<const float>)>& body) {
  const auto count = static_cast<int64_t>(queries.size());
  const auto keys = static_cast<size_t>(matrix.Keys());
  ParallelFor(kPassChunks, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> rows;
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t first = chunk * count / kPassChunks, last = (chunk + 1) * count / kPassChunks;
      for (int64_t i = first; i < last; i += kBlock) {
        const auto some = queries.subspan(static_cast<size_t>(i),
                                          static_cast<size_t>(std::min(kBlock, last - i)));
        rows.resize(some.size() * keys);
        matrix.Rows(sample, head, some, rows.data());
        for (size_t k = 0; k < some.size(); ++k) {
          body(static_cast<int>(chunk), some[k], std::span(rows).subspan(k * keys, keys));
        }
      }
    }
  });
}

std::vector<int32_t> AllQueries(int64_t count) {
  std::vector<int32_t> queries(static_cast<size_t>(count));
  std::iota(queries.begin(), queries.end(), 0);
  return queries;
}

std::vector<int32_t> SpreadQueries(int64_t all, int64_t count) {
  std::vector<int32_t> queries;
  count = std::min(all, count);
  for (int64_t i = 0; i < count; ++i) {
    queries.push_back(static_cast<int32_t>((2 * i + 1) * all / (2 * count)));
  }
  return queries;
}

void RowOfHeads(const AttentionMatrix& matrix, int64_t sample, int32_t query, float* rows) {
  ParallelFor(matrix.Heads(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t head = begin; head < end; ++head) {
      matrix.Rows(sample, head, {&query, 1}, rows + head * matrix.Keys());
    }
  });
}

double EntropyOf(std::span<const float> row) {
  return EntropyOf(SumWeightsCpu(row.data(), static_cast<int64_t>(row.size())));
}

double EntropyOf(const WeightSums& sums) {
  if (std::isnan(sums.weights)) return sums.weights;
  return sums.weights > 0 ? std::log(sums.weights) - sums.with_log / sums.weights : 0;
}

std::vector<float> Entropies(const AttentionMatrix& matrix, int64_t sample, int64_t head) {
  std::vector<float> out(static_cast<size_t>(matrix.Queries()));
  ForEachRow(matrix, sample, head, AllQueries(matrix.Queries()),
             [&](int, int32_t query, std::span<const float> row) {
               out[static_cast<size_t>(query)] = static_cast<float>(EntropyOf(row));
             });
  return out;
}

std::vector<double> WeightedRowSum(const AttentionMatrix& matrix, int64_t sample, int64_t head,
                                   std::span<const double> weights) {
  ENSURE(static_cast<int64_t>(weights.size()) == matrix.Queries());
  const auto keys = static_cast<size_t>(matrix.Keys());
  std::vector<int32_t> queries;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] != 0) queries.push_back(static_cast<int32_t>(i));
  }
  std::vector<double> sums(kPassChunks * keys);
  ForEachRow(matrix, sample, head, queries,
             [&](int chunk, int32_t query, std::span<const float> row) {
               double* sum = sums.data() + static_cast<size_t>(chunk) * keys;
               const double weight = weights[static_cast<size_t>(query)];
               for (size_t j = 0; j < keys; ++j) sum[j] += weight * static_cast<double>(row[j]);
             });
  for (size_t chunk = 1; chunk < kPassChunks; ++chunk) {
    for (size_t j = 0; j < keys; ++j) sums[j] += sums[chunk * keys + j];
  }
  sums.resize(keys);
  return sums;
}

std::vector<float> MeanOfHeads(const AttentionMatrix& matrix, int64_t sample,
                               std::span<const int> heads) {
  ENSURE(!heads.empty());
  const auto keys = static_cast<size_t>(matrix.Keys());
  std::vector<float> mean(static_cast<size_t>(matrix.Queries()) * keys);
  const float share = 1 / static_cast<float>(heads.size());
  const std::vector<int32_t> all = AllQueries(matrix.Queries());
  for (const int head : heads) {
    ForEachRow(matrix, sample, head, all, [&](int, int32_t query, std::span<const float> row) {
      float* to = mean.data() + static_cast<size_t>(query) * keys;
      for (size_t j = 0; j < keys; ++j) to[j] += share * row[j];
    });
  }
  return mean;
}

RingProfile RingsOf(const AttentionMatrix& matrix, int64_t sample, int64_t head,
                    const TokenLayout& queries, const TokenLayout& keys,
                    std::span<const int32_t> sampled) {
  const Segment *from = GridIn(queries), *to = GridIn(keys);
  ENSURE(from != nullptr && to != nullptr && from->grid == to->grid);
  const int h = from->grid[1], w = from->grid[2];
  const auto rings = static_cast<size_t>(std::max(h, w));
  std::vector<double> share(kPassChunks * rings), population(share.size()), outside(kPassChunks);
  std::vector<int64_t> seen(kPassChunks);
  ForEachRow(matrix, sample, head, sampled,
             [&](int chunk, int32_t query, std::span<const float> row) {
               const int at = query - from->begin;
               if (at < 0 || at >= from->length) return;
               const auto c = static_cast<size_t>(chunk);
               double inside = 0, all = 0;
               for (int j = 0; j < to->length; ++j) {
                 if (at / (h * w) != j / (h * w)) continue;  // another frame
                 const int dy = std::abs(at / w % h - j / w % h), dx = std::abs(at % w - j % w);
                 const auto ring = c * rings + static_cast<size_t>(std::max(dy, dx));
                 const auto weight = static_cast<double>(row[static_cast<size_t>(to->begin + j)]);
                 share[ring] += weight;
                 population[ring] += 1;
                 inside += weight;
               }
               for (const float weight : row) all += static_cast<double>(weight);
               outside[c] += all - inside;
               ++seen[c];
             });
  RingProfile profile;
  const auto count = static_cast<double>(
      std::max<int64_t>(1, std::accumulate(seen.begin(), seen.end(), int64_t{0})));
  for (size_t ring = 0; ring < rings; ++ring) {
    double sum = 0, members = 0;
    for (size_t chunk = 0; chunk < kPassChunks; ++chunk) {
      sum += share[chunk * rings + ring];
      members += population[chunk * rings + ring];
    }
    profile.share.push_back(sum / count);
    profile.population.push_back(members / count);
  }
  profile.outside = std::accumulate(outside.begin(), outside.end(), 0.0) / count;
  return profile;
}

}  // namespace fovea
