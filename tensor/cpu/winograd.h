// 3x3 convolutions of stride 1 with a quarter of the multiplications.
//
// Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray, "Fast Algorithms for Convolutional
// Neural Networks", 2016): tiles of 6x6 inputs and filters become 36 products of matrices, whose
// results become 4x4 outputs. Interpolation points 0, ±5/8, ±3/2 and infinity keep the error of f32
// near that of the direct sum: 1.6e-6 of the outputs' root mean square at 320 channels, against
// 1.0e-6. Arithmetic is f32 whatever the activations are: bf16 would lose too many bits in the
// transforms, and a quarter of the products in f32 takes less time than all of them in bf16.
#pragma once

#include <cstdint>

#include "tensor/backend.h"

namespace fovea {

// Sizes of one convolution; how it is divided is a function of them and of the number of threads,
// its results are not.
struct WinogradPlan {
  int64_t out_h, out_w, in, out;
  int64_t tiles_y, tiles_x, tiles;  // of 4x4 outputs: down, across, of all samples
  int64_t threads;
  int64_t strip;  // tiles whose transformed inputs are in memory at a time
  bool shared;    // all threads work on one strip

  WinogradPlan(const Tensor& x, const Tensor& out, int threads);
  int64_t ScratchFloats() const;
};

// Whether it is the better algorithm for these shapes.
bool WinogradServes(const Tensor& x, const Weight& weight, const Conv2dParams& params,
                    const Tensor& out);

// The elements of a filter bank, 16 outputs side by side: (out / 16, 3, 3, in, 16), f32, bf16, f16.
inline constexpr int64_t kWinogradLanes = 16;

// Arguments as Backend::Conv2d; pixels of x, residual and out may be strided. `filters` is laid out
// as above, `scratch` has plan.ScratchFloats() floats, 64-byte aligned. Parallel;
// results do not depend on the number of threads.
void WinogradCpu(const WinogradPlan& plan, const Tensor& x, const void* filters, DType filter_type,
                 const Tensor& bias, const Conv2dParams& params, const Epilogue& epilogue,
                 float* scratch, const Tensor& out);

}  // namespace fovea
