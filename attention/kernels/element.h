// Single elements of f32 or bf16 tensors, for the parts of kernels that are not worth vectors.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace fovea {

inline float LoadElement(const void* data, int64_t index, bool bf16) {
  return bf16 ? ToFloat(static_cast<const BFloat16*>(data)[index])
              : static_cast<const float*>(data)[index];
}

inline void StoreElement(void* data, int64_t index, bool bf16, float value) {
  if (bf16) {
    static_cast<BFloat16*>(data)[index] = ToBFloat16(value);
  } else {
    static_cast<float*>(data)[index] = value;
  }
}

}  // namespace fovea
