// Tensors as rows: all axes but the last, numbered in row-major order.
#pragma once

#include <cstdint>
#include <optional>

#include "tensor/tensor.h"

namespace fovea {

inline int64_t RowLength(const Tensor& t) {
  return t.shape.rank == 0 ? 1 : t.shape[-1];
}

inline int64_t RowCount(const Tensor& t) {
  int64_t rows = 1;
  for (int i = 0; i + 1 < t.shape.rank; ++i) rows *= t.shape.dim[i];
  return rows;
}

// Where row `row` begins, in elements from the first one.
inline int64_t RowOffset(const Tensor& t, int64_t row) {
  int64_t offset = 0;
  for (int i = t.shape.rank - 2; i >= 0; --i) {
    offset += row % t.shape.dim[i] * t.stride[i];
    row /= t.shape.dim[i];
  }
  return offset;
}

inline bool LastAxisDense(const Tensor& t) {
  return t.shape.rank == 0 || t.shape[-1] == 1 || t.stride[t.shape.rank - 1] == 1;
}

// The distance between successive rows where there is one for all of them.
std::optional<int64_t> UniformRowStride(const Tensor& t);

}  // namespace fovea
