// Attention with biases, and the depthwise convolution, against their definitions in f64.
#include "attention/kernels/biased_attention.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "attention/kernels/cpu_kernels.h"
#include "tests/support/operator_case.h"
#include "tests/support/worst.h"

namespace fovea {
namespace {

double At(const Tensor& x, int64_t b, int64_t t, int64_t h, int64_t d) {
  return reference::At(x, {b, t, h, d});
}

// softmax(scale q k + bias) v of one query.
double Want(const Tensor& q, const Tensor& k, const Tensor& v, double scale, const Tensor& bias,
            int64_t b, int64_t t, int64_t h, int64_t d) {
  const int64_t keys = k.shape[1], dims = q.shape[3];
  std::vector<double> scores;
  double top = -INFINITY, sum = 0, out = 0;
  for (int64_t j = 0; j < keys; ++j) {
    double score = bias.Data<float>()[(h * q.shape[1] + t) * keys + j];
    for (int64_t c = 0; c < dims; ++c) score += scale * At(q, b, t, h, c) * At(k, b, j, h, c);
    scores.push_back(score);
    top = std::max(top, score);
  }
  for (int64_t j = 0; j < keys; ++j) {
    const double p = std::exp(scores[static_cast<size_t>(j)] - top);
    sum += p;
    out += p * At(v, b, j, h, d);
  }
  return out / sum;
}

TEST_CASE("biased attention equals its definition") {
  for (const auto& [tokens, keys, dim] :
       {std::array<int64_t, 3>{1, 1, 8}, {5, 3, 16}, {17, 49, 24}, {33, 4, 40}}) {
    CAPTURE(tokens, keys, dim);
    // q, k and v lie side by side, as a fused projection leaves them.
    const HostTensor q3 = RandomNormal({2, tokens, 3, 3 * dim}, 1);
    const HostTensor k3 = RandomNormal({2, keys, 3, 3 * dim}, 2);
    const HostTensor bias = RandomNormal({3, tokens, keys}, 3, 2);
    const Tensor q = q3.View().Slice(3, 0, dim), k = k3.View().Slice(3, dim, dim);
    const Tensor v = k3.View().Slice(3, 2 * dim, dim);
    HostTensor out({2, tokens, 3, dim}, DType::kF32);
    std::fill_n(out.Data<float>(), out.NumElements(), NAN);
    BiasedAttentionCpu(q, k, v, 0.3f, bias.View(), out.View());
    Worst worst;
    for (int64_t b = 0; b < 2; ++b) {
      for (int64_t t = 0; t < tokens; ++t) {
        for (int64_t h = 0; h < 3; ++h) {
          for (int64_t d = 0; d < dim; ++d) {
            worst.Add(At(out.View(), b, t, h, d), Want(q, k, v, 0.3f, bias.View(), b, t, h, d));
          }
        }
      }
    }
    CHECK(worst.Value() <= 2e-6);
  }
}

TEST_CASE("a bias by distance is a view of one row") {
  const int64_t tokens = 9, heads = 2, row = 2 * tokens - 1;
  const HostTensor q = RandomNormal({1, tokens, heads, 8}, 1), k = RandomNormal(q.shape(), 2);
  const HostTensor v = RandomNormal(q.shape(), 3), distances = RandomNormal({heads, row}, 4);
  HostTensor whole({heads, tokens, tokens}, DType::kF32);
  for (int64_t i = 0; i < whole.NumElements(); ++i) {
    const int64_t h = i / (tokens * tokens), t = i / tokens % tokens, j = i % tokens;
    whole.Data<float>()[i] = distances.Data<float>()[h * row + j - t + tokens - 1];
  }
  Tensor view = distances.View();
  view.data = const_cast<float*>(distances.Data<float>()) + tokens - 1;
  view.shape = {heads, tokens, tokens};
  view.stride = {row, -1, 1};
  HostTensor want(q.shape(), DType::kF32), got(q.shape(), DType::kF32);
  BiasedAttentionCpu(q.View(), k.View(), v.View(), 1, whole.View(), want.View());
  BiasedAttentionCpu(q.View(), k.View(), v.View(), 1, view, got.View());
  CHECK(std::equal(want.Data<float>(), want.Data<float>() + want.NumElements(), got.Data<float>()));
}

TEST_CASE("the depthwise convolution adds to the tokens of the grid only") {
  const int64_t h = 3, w = 5, tokens = 2 + h * w, heads = 2, dim = 4;
  const HostTensor v = RandomNormal({2, tokens, heads, dim}, 4);
  const HostTensor weight = RandomNormal({heads * dim, 1, 3, 3}, 5);
  const HostTensor bias = RandomNormal({heads * dim}, 6);
  const HostTensor before = RandomNormal({2, tokens, heads, dim}, 7);
  const HostTensor out = before;
  const Segment grid{SegmentKind::kGrid, 2, static_cast<int>(h * w), {1, 3, 5}};
  AddDepthwiseCpu(v.View(), grid, weight.View(), bias.View(), out.View());
  Worst worst;
  for (int64_t i = 0; i < out.NumElements(); ++i) {
    const int64_t c = i % (heads * dim), t = i / (heads * dim) % tokens,
                  b = i / (heads * dim * tokens);
    double want = before.Data<float>()[i];
    for (int64_t tap = 0; tap < 9 && t >= 2; ++tap) {
      if (tap == 0) want += bias.Data<float>()[c];
      const int64_t y = (t - 2) / w + tap / 3 - 1, x = (t - 2) % w + tap % 3 - 1;
      if (y < 0 || y >= h || x < 0 || x >= w) continue;
      want += weight.Data<float>()[c * 9 + tap] * At(v.View(), b, 2 + y * w + x, c / dim, c % dim);
    }
    worst.Add(out.Data<float>()[i], want);
  }
  CHECK(worst.Value() <= 2e-6);
}

}  // namespace
}  // namespace fovea
