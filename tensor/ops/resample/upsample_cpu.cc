// Nearest-neighbour resizing: pixels are copied whole.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensor/cpu/kernels.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

// As PyTorch on all devices: the ratio of the sizes in f32, the product in f32, then the floor.
int64_t SourceIndex(int64_t i, int64_t in, int64_t out) {
  if (out == in) return i;
  if (out == 2 * in) return i / 2;
  const float ratio = static_cast<float>(in) / static_cast<float>(out);
  return std::min(static_cast<int64_t>(std::floor(static_cast<float>(i) * ratio)), in - 1);
}

}  // namespace

void UpsampleNearestCpu(const Tensor& x, const Tensor& out) {
  const int64_t height = out.shape[1];
  const int64_t width = out.shape[2];
  const int64_t size = static_cast<int64_t>(SizeOf(x.dtype));
  const size_t pixel_bytes = static_cast<size_t>(x.shape[3] * size);
  const auto* from = static_cast<const std::byte*>(x.data);
  auto* to = static_cast<std::byte*>(out.data);
  ParallelFor(out.shape[0] * height, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t n = row / height;
      const int64_t h = row % height;
      const std::byte* source =
          from + (n * x.stride[0] + SourceIndex(h, x.shape[1], height) * x.stride[1]) * size;
      std::byte* target = to + (n * out.stride[0] + h * out.stride[1]) * size;
      for (int64_t w = 0; w < width; ++w) {
        std::memcpy(target + w * out.stride[2] * size,
                    source + SourceIndex(w, x.shape[2], width) * x.stride[2] * size, pixel_bytes);
      }
    }
  });
}

}  // namespace fovea
