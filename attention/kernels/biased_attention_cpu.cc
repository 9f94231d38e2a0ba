// Attention with a bias of every score, on the CPU (T5).
#include <algorithm>
#include <cmath>
#include <vector>

#include "attention/kernels/cpu_kernels.h"
#include "attention/kernels/element.h"
#include "attention/kernels/head_rows.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

std::vector<float> Transposed(const std::vector<float>& x, int64_t rows, int64_t columns) {
  std::vector<float> out(x.size());
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      out[static_cast<size_t>(c * rows + r)] = x[static_cast<size_t>(r * columns + c)];
    }
  }
  return out;
}

// y += a * x
void AddScaled(const float* __restrict x, float a, int64_t count, float* __restrict y) {
  for (int64_t i = 0; i < count; ++i) y[i] += a * x[i];
}

// Scores to probabilities; their sum is returned instead of divided by.
float Exponentials(std::vector<float>& scores) {
  float top = scores[0];
  for (const float score : scores) top = std::max(top, score);
  float sum = 0;
  for (float& score : scores) {
    score = std::exp(score - top);
    sum += score;
  }
  return sum;
}

}  // namespace

void BiasedAttentionCpu(const Tensor& q, const Tensor& k, const Tensor& v, float scale,
                        const Tensor& bias, const Tensor& out) {
  const int64_t tokens = q.shape[1], heads = q.shape[2], d = q.shape[3], keys = k.shape[1];
  ENSURE((bias.shape == Shape{heads, tokens, keys}) && bias.stride[2] == 1 && keys > 0,
         bias.shape.ToString());
  const bool bf16 = out.dtype == DType::kBF16;
  ParallelFor(q.shape[0] * heads, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> scores(static_cast<size_t>(keys)), row(static_cast<size_t>(d));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t b = i / heads, head = i % heads;
      const std::vector<float> queries = HeadRows(q, b, head), values = HeadRows(v, b, head);
      const std::vector<float> by_channel = Transposed(HeadRows(k, b, head), keys, d);
      for (int64_t t = 0; t < tokens; ++t) {
        const float* own = bias.Data<float>() + head * bias.stride[0] + t * bias.stride[1];
        std::copy_n(own, keys, scores.begin());
        for (int64_t c = 0; c < d; ++c) {
          AddScaled(by_channel.data() + c * keys, scale * queries[static_cast<size_t>(t * d + c)],
                    keys, scores.data());
        }
        const float sum = Exponentials(scores);
        std::fill(row.begin(), row.end(), 0.0f);
        for (int64_t j = 0; j < keys; ++j) {
          AddScaled(values.data() + j * d, scores[static_cast<size_t>(j)], d, row.data());
        }
        const int64_t to = b * out.stride[0] + t * out.stride[1] + head * out.stride[2];
        for (int64_t c = 0; c < d; ++c) {
          StoreElement(out.data, to + c, bf16, row[static_cast<size_t>(c)] / sum);
        }
      }
    }
  });
}

void AddDepthwiseCpu(const Tensor& v, const Segment& grid, const Tensor& weight, const Tensor& bias,
                     const Tensor& out) {
  const int64_t heads = v.shape[2], d = v.shape[3], h = grid.grid[1], w = grid.grid[2];
  ENSURE((weight.shape == Shape{heads * d, 1, 3, 3}) && weight.IsContiguous() &&
             (bias.shape == Shape{heads * d}) && grid.grid[0] == 1,
         weight.shape.ToString());
  const bool bf16 = v.dtype == DType::kBF16;
  const auto at = [&](const Tensor& x, int64_t b, int64_t head, int64_t y, int64_t column) {
    return b * x.stride[0] + (grid.begin + y * w + column) * x.stride[1] + head * x.stride[2];
  };
  ParallelFor(v.shape[0] * heads, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> sums(static_cast<size_t>(d));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t b = i / heads, head = i % heads;
      const float* filters = weight.Data<float>() + head * d * 9;
      for (int64_t pixel = 0; pixel < h * w; ++pixel) {
        const int64_t y = pixel / w, x = pixel % w;
        std::copy_n(bias.Data<float>() + head * d, d, sums.begin());
        for (int64_t tap = 0; tap < 9; ++tap) {
          const int64_t row = y + tap / 3 - 1, column = x + tap % 3 - 1;
          if (row < 0 || row >= h || column < 0 || column >= w) continue;
          const int64_t from = at(v, b, head, row, column);
          for (int64_t c = 0; c < d; ++c) {
            sums[static_cast<size_t>(c)] +=
                filters[c * 9 + tap] * LoadElement(v.data, from + c, bf16);
          }
        }
        const int64_t to = at(out, b, head, y, x);
        for (int64_t c = 0; c < d; ++c) {
          StoreElement(out.data, to + c, bf16,
                       LoadElement(out.data, to + c, bf16) + sums[static_cast<size_t>(c)]);
        }
      }
    }
  });
}

}  // namespace fovea
