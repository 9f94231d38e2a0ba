// Scores and softmaxes of a few queries over many keys, for reading attention instead of applying
// it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fovea {

inline constexpr int64_t kScoreQueries = 64;  // of a block

// A key's row starts at base + its index * stride elements; f32 or bf16.
struct KeyRows {
  const std::byte* base = nullptr;
  int64_t stride = 0;
};

// One query: scores[i] = scale * q . k[keys[i]], of the first `count` keys where `keys` is null. q
// is f32 (d). Memory-bound on the keys.
void ScoreKeysCpu(const float* q, const KeyRows& k, bool bf16, int64_t d, const int32_t* keys,
                  int64_t count, float scale, float* scores);

// 64 queries at once: scores (count, 64), scores[i][j] = q_j . k[keys[i]], with `q` (d, 64) f32,
// scaled before. 128 d FLOPs a key.
void ScoreBlockCpu(const float* q, const KeyRows& k, bool bf16, int64_t d, const int32_t* keys,
                   int64_t count, float* scores);

// exp(x - max) over the sum of these, in place, of `count` scores; those of -infinity become 0. All
// zero where there is nothing else. Returns the log-sum-exp.
float SoftmaxRowCpu(float* scores, int64_t count);

// The same for each of the 64 columns of scores (count, 64).
void SoftmaxBlockCpu(float* scores, int64_t count);

// The sum of positive weights, of each times its logarithm, and of each times its value (0 without
// `values`); NaN where a weight is.
struct WeightSums {
  double weights = 0, with_log = 0, with_value = 0;
};
WeightSums SumWeightsCpu(const float* weights, int64_t count, const float* values = nullptr);

// x[i] = exp(x[i] - lse)
void ExpMinusCpu(float* x, int64_t count, float lse);

}  // namespace fovea
