// No kernels: this build was made without nvcc.
#include "tensor/cuda/kernel_images.h"

namespace fovea::cuda {

std::span<const KernelImage> KernelImages() {
  return {};
}

std::string_view ImageArchitectures() {
  return {};
}

}  // namespace fovea::cuda
