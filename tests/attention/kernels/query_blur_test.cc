// Blurred and mean queries beside a separable Gaussian in double precision.
#include "attention/kernels/query_blur.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "tests/reference/reference_attention.h"
#include "tests/support/operator_case.h"
#include "tests/support/worst.h"

namespace fovea {
namespace {

struct Kernels {
  std::unique_ptr<Backend> backend = MakeCpuBackend();
  Arena arena{*backend, 1 << 20};
  Context ctx{*backend, arena};
};

// Weights of an axis of n tokens from the one at `at`.
std::vector<double> Axis(int n, int at, double sigma) {
  int taps = int(std::ceil(6 * sigma));
  taps += taps % 2 == 0;
  taps = std::min(taps, n % 2 == 1 ? n : n + 1);
  std::vector<double> weights(static_cast<size_t>(n));
  double sum = 0;
  for (int x = -taps / 2; x <= taps / 2; ++x) {
    int to = at + x;
    while (to < 0 || to >= n) to = to < 0 ? -to : 2 * (n - 1) - to;
    const double weight = std::exp(-x * x / (2 * sigma * sigma));
    weights[static_cast<size_t>(to)] += weight;
    sum += weight;
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

TEST_CASE("the published example: a ramp of 4x4, sigma 1, and its mean") {
  Kernels kernels;
  HostTensor q({1, 16, 1, 1}, DType::kF32), out({1, 16, 1, 1}, DType::kF32);
  for (int i = 0; i < 16; ++i) q.Data<float>()[i] = float(i);
  const TokenLayout layout = GridLayout(4, 4);
  BlurQueries(kernels.ctx, q.View(), layout[0], 1, out.View());
  const double first_row[] = {3.531788, 3.934407, 4.716453, 5.119072};
  for (int i = 0; i < 4; ++i) CHECK(out.Data<float>()[i] == Approx(first_row[i]).margin(1e-6));
  BlurQueries(kernels.ctx, q.View(), layout[0], 1e6, out.View());
  for (int i = 0; i < 16; ++i) CHECK(out.Data<float>()[i] == 7.5f);
}

TEST_CASE("each frame is blurred by itself, other tokens stay") {
  Kernels kernels;
  for (const auto& grid : {std::array{1, 7, 10}, {3, 4, 5}, {1, 1, 9}, {2, 6, 1}}) {
    for (const double sigma : {0.3, 0.9, 2.0, 30.0, 1e5}) {
      for (const bool text_first : {false, true}) {
        const OperatorCase c{"", {}, grid, 3, text_first, 2, 2, 8};
        const TokenLayout layout = LayoutOf(c);
        const int64_t tokens = TokenCount(layout), first = text_first ? 3 : 0;
        const HostTensor q = RandomNormal({2, tokens, 2, 8}, 5);
        HostTensor out(q.shape(), DType::kF32);
        const Segment& segment = layout[text_first ? 1 : 0];
        BlurQueries(kernels.ctx, q.View(), segment, sigma, out.View());
        CAPTURE(grid, sigma, text_first);
        Worst worst;
        const auto& [frames, height, width] = grid;
        for (int64_t token = 0; token < tokens; ++token) {
          const int64_t at = token - first;
          for (int64_t value = 0; value < 16; ++value) {
            const auto of = [&](int64_t t) {
              return reference::At(q.View(), {1, t, value / 8, value % 8});
            };
            double want = of(token);
            if (at >= 0 && at < int64_t{frames} * height * width) {
              want = 0;
              const int64_t frame = at / (height * width), y = at / width % height, x = at % width;
              const bool mean = sigma > 9999;
              const auto rows = Axis(height, int(y), sigma), columns = Axis(width, int(x), sigma);
              for (int64_t i = 0; i < height; ++i) {
                for (int64_t j = 0; j < width; ++j) {
                  const double weight =
                      mean ? 1.0 / (height * width) : rows[size_t(i)] * columns[size_t(j)];
                  want += weight * of(first + (frame * height + i) * width + j);
                }
              }
            }
            worst.Add(reference::At(out.View(), {1, token, value / 8, value % 8}), want);
          }
        }
        CHECK(worst.Value() <= 1e-6);
      }
    }
  }
}

TEST_CASE("the mean query is that of all tokens, once or in every row") {
  Kernels kernels;
  const HostTensor q = RandomNormal({2, 37, 3, 8}, 2);
  HostTensor one({2, 1, 3, 8}, DType::kF32), all(q.shape(), DType::kF32);
  MeanQuery(kernels.ctx, q.View(), one.View());
  MeanQuery(kernels.ctx, q.View(), all.View());
  Worst worst;
  for (int64_t b = 0; b < 2; ++b) {
    for (int64_t value = 0; value < 24; ++value) {
      double want = 0;
      for (int64_t t = 0; t < 37; ++t) {
        want += reference::At(q.View(), {b, t, value / 8, value % 8}) / 37;
      }
      worst.Add(reference::At(one.View(), {b, 0, value / 8, value % 8}), want);
      for (int64_t t = 0; t < 37; t += 9) {
        worst.Add(reference::At(all.View(), {b, t, value / 8, value % 8}), want);
      }
    }
  }
  CHECK(worst.Value() <= 1e-6);
}

}  // namespace
}  // namespace fovea
