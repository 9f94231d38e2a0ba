// What is added to a weight while a backend makes its own copy of it: a sum of terms.
//
// The mapped weights stay as they are, so that dropping the copy removes the addition exactly.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "tensor/memory/host_tensor.h"

namespace fovea {

// One addition to a weight, which is (out, columns) here, whatever axes it has. Computed piece by
// piece, since most are small in their factors and as large as the weight in full. Thread-safe.
class DeltaTerm {
 public:
  virtual ~DeltaTerm() = default;
  virtual size_t Bytes() const = 0;  // of what it holds itself
  // values[c] += term(row, first + c); base[c]: the weight itself at its own row for `row`, without
  // additions. Equally long, at most kMostAtOnce, and not the same memory.
  static constexpr size_t kMostAtOnce = 512;
  virtual void AddTo(int64_t row, int64_t first, std::span<const float> base,
                     std::span<float> values) const = 0;
};

struct LowRankProduct final : DeltaTerm {
  LowRankProduct() = default;
  LowRankProduct(HostTensor up_matrix, HostTensor down_matrix)
      : up(std::move(up_matrix)), down(std::move(down_matrix)) {}
  HostTensor up;    // (out, rank) f32, scaled
  HostTensor down;  // (rank, columns) f32

  size_t Bytes() const override { return up.Bytes() + down.Bytes(); }
  void AddTo(int64_t row, int64_t first, std::span<const float> base,
             std::span<float> values) const override;
};

// A term whose rows a weight may have in part: those of a file that keeps several weights as one.
struct PlacedTerm {
  std::shared_ptr<const DeltaTerm> term;
  int64_t first = 0;    // the term's row for row 0
  int64_t swapped = 0;  // rows of the weight, if it has the second half of them first; else 0

  int64_t RowOf(int64_t row) const {
    return first + (swapped > 0 ? (row + swapped / 2) % swapped : row);
  }
};

struct WeightDelta {
  std::vector<PlacedTerm> terms;

  size_t Bytes() const;
  // values, which hold the weight, [c] += delta(row, first + c), terms in order. Each sees the
  // weight, not what the ones before it have made of it. Thread-safe.
  void AddTo(int64_t row, int64_t first, std::span<float> values) const;
};

}  // namespace fovea
