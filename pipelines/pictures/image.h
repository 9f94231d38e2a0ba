// An 8-bit RGB picture on the host, and conversion from the VAE's output.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace fovea {

struct Image {
  int width = 0, height = 0;
  std::vector<uint8_t> rgb;  // row-major
};

// x: one picture (h,w,3) f32 on the host, [-1, 1] nominal. (x / 2 + 0.5) clamped, times 255,
// rounded half to even, as diffusers' image processor.
Image ToImage(const Tensor& x);

}  // namespace fovea
