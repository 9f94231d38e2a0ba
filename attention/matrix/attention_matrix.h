// What an operator's output is as a linear map of the values: out_i = sum over keys j of A[i,j]
// v_j.
//
// Every operator has one, sparse, pooled and merged ones included, so that what is shown of a head
// is what that head computed: rows times values are the operator's output up to rounding. Rows of
// softmax operators are probabilities; those of `agentsd` and of mixed heads may have any sum, and
// the convolution of a trained agent layer is outside.
#pragma once

#include <cstdint>
#include <span>

namespace fovea {

class AttentionMatrix {
 public:
  virtual ~AttentionMatrix() = default;
  AttentionMatrix(const AttentionMatrix&) = delete;
  AttentionMatrix& operator=(const AttentionMatrix&) = delete;

  int64_t Samples() const { return samples_; }
  int64_t Heads() const { return heads_; }
  int64_t Queries() const { return queries_; }
  int64_t Keys() const { return keys_; }

  // Rows of one head of one sample: (queries.size(), Keys()) f32, all of it written. Computes in
  // the calling thread; several threads may ask at once.
  virtual void Rows(int64_t sample, int64_t head, std::span<const int32_t> queries,
                    float* rows) const = 0;
  // What every query gives to a few keys: (Queries(), keys.size()) f32. Cheaper than all rows where
  // the operator is a softmax that left its log-sum-exps.
  virtual void Columns(int64_t sample, int64_t head, std::span<const int32_t> keys,
                       float* columns) const;

 protected:
  AttentionMatrix(int64_t samples, int64_t heads, int64_t queries, int64_t keys)
      : samples_(samples), heads_(heads), queries_(queries), keys_(keys) {}

 private:
  int64_t samples_, heads_, queries_, keys_;
};

}  // namespace fovea
