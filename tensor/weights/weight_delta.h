// What is added to a weight while a backend makes its own copy of it: a sum of low-rank products.
//
// The mapped weights stay as they are, so that dropping the copy removes the addition exactly.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tensor/memory/host_tensor.h"

namespace fovea {

struct LowRankProduct {
  HostTensor up;    // (out, rank) f32, scaled
  HostTensor down;  // (rank, in * kh * kw) f32
};

struct WeightDelta {
  std::vector<LowRankProduct> products;

  size_t Bytes() const;
  // values[c] += delta(row, first + c), products in order. Thread-safe.
  void AddTo(int64_t row, int64_t first, std::span<float> values) const;
};

}  // namespace fovea
