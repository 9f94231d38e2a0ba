// The compiled kernels inside this program: one image for each *_cuda.cu file of the tree.
//
// A build with nvcc compiles them (cmake/cuda.cmake) and embeds them; one without has none.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace fovea::cuda {

struct KernelImage {
  std::string_view name;             // "elementwise" for elementwise_cuda.cu
  std::span<const std::byte> bytes;  // a fatbin: machine code of several architectures, and PTX
};

std::span<const KernelImage> KernelImages();
std::string_view ImageArchitectures();  // "sm_80 sm_90a compute_80", or empty

}  // namespace fovea::cuda
