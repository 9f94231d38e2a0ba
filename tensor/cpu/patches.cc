#include "tensor/cpu/patches.h"

#include <vector>

#include "tensor/machine/threads.h"

namespace fovea {

void GatherPatchesCpu(const Tensor& x, KernelSize kernel, const Conv2dParams& params, int64_t first,
                      const Tensor& patches) {
  const int64_t channels = x.shape[3], positions = kernel.height * kernel.width;
  const int64_t width = patches.shape[2];
  const std::vector<float> zeros(static_cast<size_t>(channels));
  ParallelFor(patches.shape[1] * width, 8, [&](int64_t begin, int64_t end) {
    std::vector<const float*> pixels(static_cast<size_t>(positions));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t top = (first + i / width) * params.stride - params.pad_top;
      const int64_t left = i % width * params.stride - params.pad_left;
      for (int64_t k = 0; k < positions; ++k) {
        const int64_t y = top + k / kernel.width * params.dilation;
        const int64_t at = left + k % kernel.width * params.dilation;
        const bool inside = y >= 0 && y < x.shape[1] && at >= 0 && at < x.shape[2];
        pixels[static_cast<size_t>(k)] =
            inside ? x.Data<float>() + y * x.stride[1] + at * x.stride[2] : zeros.data();
      }
      float* to = patches.Data<float>() + i * channels * positions;
      for (int64_t c = 0; c < channels; ++c) {
        for (int64_t k = 0; k < positions; ++k) *to++ = pixels[static_cast<size_t>(k)][c];
      }
    }
  });
}

}  // namespace fovea
