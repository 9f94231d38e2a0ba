#include "attention/kernels/bicubic.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "attention/kernels/element.h"
#include "tensor/threads.h"

namespace fovea {
namespace {

// The four sources of an output coordinate.
struct Tap {
  std::array<int, 4> index;
  std::array<float, 4> weight;
};

std::vector<Tap> Taps(int from, int to) {
  constexpr double kA = -0.75;
  const auto near = [](double x) { return ((kA + 2) * x - (kA + 3)) * x * x + 1; };
  const auto far = [](double x) { return ((kA * x - 5 * kA) * x + 8 * kA) * x - 4 * kA; };
  std::vector<Tap> taps;
  for (int i = 0; i < to; ++i) {
    const double at = (i + 0.5) * from / to - 0.5, floor = std::floor(at), t = at - floor;
    Tap tap;
    for (int k = 0; k < 4; ++k) {
      tap.index[static_cast<size_t>(k)] = std::clamp(static_cast<int>(floor) - 1 + k, 0, from - 1);
    }
    tap.weight = {static_cast<float>(far(1 + t)), static_cast<float>(near(t)),
                  static_cast<float>(near(1 - t)), static_cast<float>(far(2 - t))};
    taps.push_back(tap);
  }
  return taps;
}

}  // namespace

void ResizeBicubicCpu(const Tensor& x, int height, int width, const Tensor& out, int out_height,
                      int out_width) {
  const std::vector<Tap> rows = Taps(height, out_height), columns = Taps(width, out_width);
  const int64_t heads = x.shape[2], d = x.shape[3];
  const bool bf16 = x.dtype == DType::kBF16;
  const auto pixel = [&](int64_t b, int64_t token) {
    const Tap& row = rows[static_cast<size_t>(token / out_width)];
    const Tap& column = columns[static_cast<size_t>(token % out_width)];
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t c = 0; c < d; ++c) {
        float sum = 0;
        for (size_t i = 0; i < 4; ++i) {
          float line = 0;
          for (size_t j = 0; j < 4; ++j) {
            const int64_t token_in = int64_t{row.index[i]} * width + column.index[j];
            line +=
                column.weight[j] *
                LoadElement(x.data, b * x.stride[0] + token_in * x.stride[1] + h * x.stride[2] + c,
                            bf16);
          }
          sum += row.weight[i] * line;
        }
        StoreElement(out.data, b * out.stride[0] + token * out.stride[1] + h * out.stride[2] + c,
                     bf16, sum);
      }
    }
  };
  const int64_t tokens = int64_t{out_height} * out_width;
  ParallelFor(x.shape[0] * tokens, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) pixel(i / tokens, i % tokens);
  });
}

}  // namespace fovea
