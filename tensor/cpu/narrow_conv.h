// 3x3 convolutions of stride 1 to a few channels: the last layer of U-Nets and VAEs.
//
// General kernels fill vectors with output channels, and these have 3 or 4 of them; this one fills
// them with input channels.
#pragma once

#include <cstdint>

#include "tensor/backend.h"

namespace fovea {

// Whether it is the better algorithm for these shapes and this epilogue.
bool NarrowConvServes(const Weight& weight, const Conv2dParams& params, const Epilogue& epilogue);

// Arguments as Backend::Conv2d; pixels of x and out may be strided. `filters` are f32, (out, 3, 3,
// in); `zeros` are x's channels of an empty pixel. Parallel; results do not depend on the number of
// threads.
void NarrowConvCpu(const Tensor& x, const float* filters, const Tensor& bias,
                   const Conv2dParams& params, const void* zeros, const Tensor& out);

}  // namespace fovea
