#include "tensor/cpu/rows.h"

namespace fovea {

std::optional<int64_t> UniformRowStride(const Tensor& t) {
  if (!LastAxisDense(t)) return std::nullopt;
  int64_t stride = 0;    // of the innermost axis longer than one
  int64_t expected = 0;  // of the next axis outwards
  for (int i = t.shape.rank - 2; i >= 0; --i) {
    if (t.shape.dim[i] == 1) continue;
    if (stride == 0) {
      stride = t.stride[i];
      if (stride < RowLength(t)) return std::nullopt;  // overlapping or broadcast rows
    } else if (t.stride[i] != expected) {
      return std::nullopt;
    }
    expected = t.stride[i] * t.shape.dim[i];
  }
  return stride == 0 ? RowLength(t) : stride;
}

}  // namespace fovea
