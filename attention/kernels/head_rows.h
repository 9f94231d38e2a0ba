// One head of one sample of a tensor (b,t,heads,d) as f32, rows dense: (t,d). For parts of
// operators that compute head by head.
#pragma once

#include <vector>

#include "attention/kernels/element.h"
#include "tensor/tensor.h"

namespace fovea {

inline std::vector<float> HeadRows(const Tensor& x, int64_t sample, int64_t head) {
  const int64_t tokens = x.shape[1], d = x.shape[3];
  const bool bf16 = x.dtype == DType::kBF16;
  std::vector<float> rows(static_cast<size_t>(tokens * d));
  for (int64_t t = 0; t < tokens; ++t) {
    const int64_t from = sample * x.stride[0] + t * x.stride[1] + head * x.stride[2];
    for (int64_t c = 0; c < d; ++c) {
      rows[static_cast<size_t>(t * d + c)] = LoadElement(x.data, from + c, bf16);
    }
  }
  return rows;
}

}  // namespace fovea
