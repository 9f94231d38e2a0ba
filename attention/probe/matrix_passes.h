// What is read from whole attention matrices, row by row: nothing of the size of a matrix is stored
// unless it is what was asked for. All run on all cores; results do not depend on their number.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "attention/matrix/attention_matrix.h"
#include "attention/tiles/token_layout.h"

namespace fovea {

struct WeightSums;

// Calls body(chunk, query, row) for `queries` of one head, rows of Keys() f32, in any order from
// all threads; `chunk` < kPassChunks tells accumulators apart, and within one chunk queries ascend.
inline constexpr int kPassChunks = 16;
void ForEachRow(const AttentionMatrix& matrix, int64_t sample, int64_t head,
                std::span<const int32_t> queries,
                const std::function<void(int, int32_t, std::span<const float>)>& body);

// 0, 1, ..., count - 1; and `count` of them, evenly spread over `all`, the first half a step in.
std::vector<int32_t> AllQueries(int64_t count);
std::vector<int32_t> SpreadQueries(int64_t all, int64_t count);

// One row of all heads of a sample: (heads, Keys()). Heads are computed side by side.
void RowOfHeads(const AttentionMatrix& matrix, int64_t sample, int32_t query, float* rows);

// -sum of a ln a over a row's positive weights, after these are made to sum to 1; nats.
double EntropyOf(std::span<const float> row);
double EntropyOf(const WeightSums& sums);
// Of every query of one head.
std::vector<float> Entropies(const AttentionMatrix& matrix, int64_t sample, int64_t head);

// sum over queries i of weight[i] A[i,j], for every key j: column sums, and one step of rollout.
// Only queries of nonzero weight are computed.
std::vector<double> WeightedRowSum(const AttentionMatrix& matrix, int64_t sample, int64_t head,
                                   std::span<const double> weights);

// The mean over `heads` as a dense matrix (Queries(), Keys()).
std::vector<float> MeanOfHeads(const AttentionMatrix& matrix, int64_t sample,
                               std::span<const int> heads);

// Attention by distance on the grid: share[k] is the mean over grid queries of the weight of grid
// keys k tokens away (the larger of rows and columns), k = 0 ..; `outside` the rest: text and
// single tokens. Population[k] is the mean number of such keys, for what even attention would give.
struct RingProfile {
  std::vector<double> share, population;
  double outside = 0;
};
RingProfile RingsOf(const AttentionMatrix& matrix, int64_t sample, int64_t head,
                    const TokenLayout& queries, const TokenLayout& keys,
                    std::span<const int32_t> sampled);

}  // namespace fovea
