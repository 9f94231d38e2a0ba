// Convolutions as products of matrices: what each output sees of the picture, as a row.
#pragma once

#include <cstdint>

#include "tensor/backend.h"

namespace fovea {

struct KernelSize {
  int64_t height, width;
};

// x (1,h,w,c) f32, pixels may be strided -> patches (1,rows,width,c * kernel) f32, dense: those of
// `rows` rows of outputs from row `first` on, in the order of a filter of the file, (c, kernel's
// row, kernel's column). Zeros outside of x. Parallel.
void GatherPatchesCpu(const Tensor& x, KernelSize kernel, const Conv2dParams& params, int64_t first,
                      const Tensor& patches);

}  // namespace fovea
