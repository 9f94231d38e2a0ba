// Tensors as the kernels' plain data.
#pragma once

#include <algorithm>
#include <string>

#include "tensor/cpu/rows.h"
#include "tensor/cuda/kernels/params.h"
#include "tensor/tensor.h"

namespace fovea::cuda {

inline RowView ViewOf(const Tensor& t) {
  RowView view{t.data, {}, t.shape.rank > 0 ? t.stride[static_cast<size_t>(t.shape.rank - 1)] : 1};
  for (int i = 0; i < kRowAxes; ++i) {
    const int axis = t.shape.rank - 2 - i;
    view.stride[i] = axis >= 0 ? t.stride[static_cast<size_t>(axis)] : 0;
  }
  return view;
}

inline RowShape RowsOf(const Tensor& t) {
  RowShape shape{RowCount(t), RowLength(t), {}};
  for (int i = 0; i < kRowAxes; ++i) {
    const int axis = t.shape.rank - 2 - i;
    shape.size[i] = axis >= 0 ? t.shape.dim[static_cast<size_t>(axis)] : 1;
  }
  return shape;
}

// One long row, for elements that are taken one by one: all tensors are contiguous.
inline RowShape OneRow(const Tensor& t) {
  return {1, t.NumElements(), {1, 1, 1, 1}};
}

inline ImageView ImageOf(const Tensor& t) {
  return {t.data, t.shape[1], t.shape[2], t.stride[0], t.stride[1], t.stride[2]};
}

// Names of the kernels' types: "f32", "bf16", "f16".
inline std::string Typed(const std::string& kernel, DType dtype) {
  return kernel + "_" + std::string(Name(dtype));
}

inline int64_t CeilDiv(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace fovea::cuda
