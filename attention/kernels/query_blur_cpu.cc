// Blurred and mean queries on the CPU: one head of one sample at a time, in f32.
#include <algorithm>
#include <cmath>
#include <vector>

#include "attention/kernels/cpu_kernels.h"
#include "attention/kernels/element.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

constexpr double kMeanFrom = 9999;  // above this sigma the blur is the mean

// Weights of an odd number of taps that sum to 1.
std::vector<float> Taps(double sigma, int64_t length) {
  const int64_t most = length % 2 == 1 ? length : length + 1;
  const double wanted = std::ceil(6 * sigma);
  const int64_t taps = wanted >= static_cast<double>(most)
                           ? most
                           : static_cast<int64_t>(wanted) + 1 - static_cast<int64_t>(wanted) % 2;
  std::vector<double> weights;
  double sum = 0;
  for (int64_t i = 0; i < taps; ++i) {
    const double x = static_cast<double>(i - taps / 2) / sigma;
    weights.push_back(std::exp(-0.5 * x * x));
    sum += weights.back();
  }
  std::vector<float> out;
  for (const double weight : weights) out.push_back(static_cast<float>(weight / sum));
  return out;
}

int64_t Mirrored(int64_t i, int64_t length) {
  if (i < 0) i = -i;
  return i < length ? i : 2 * (length - 1) - i;
}

// Lines of `length` rows of d values, `step` rows apart, blurred from x to out.
void BlurLine(const float* x, int64_t length, int64_t step, int64_t d,
              const std::vector<float>& taps, float* out) {
  const int64_t half = static_cast<int64_t>(taps.size()) / 2;
  for (int64_t i = 0; i < length; ++i) {
    float* to = out + i * step * d;
    std::fill_n(to, d, 0.0f);
    for (int64_t tap = -half; tap <= half; ++tap) {
      const float* from = x + Mirrored(i + tap, length) * step * d;
      const float weight = taps[static_cast<size_t>(tap + half)];
      for (int64_t c = 0; c < d; ++c) to[c] += weight * from[c];
    }
  }
}

// Rows [first, first + count) as their mean, in f32: (d).
std::vector<float> MeanRow(const Tensor& x, int64_t offset, int64_t first, int64_t count) {
  const bool bf16 = x.dtype == DType::kBF16;
  std::vector<double> sum(static_cast<size_t>(x.shape[3]));
  for (int64_t t = first; t < first + count; ++t) {
    for (size_t c = 0; c < sum.size(); ++c) {
      sum[c] += LoadElement(x.data, offset + t * x.stride[1] + static_cast<int64_t>(c), bf16);
    }
  }
  std::vector<float> mean;
  for (const double each : sum)
    mean.push_back(static_cast<float>(each / static_cast<double>(count)));
  return mean;
}

void StoreRow(const Tensor& x, int64_t offset, int64_t t, const float* row) {
  const bool bf16 = x.dtype == DType::kBF16;
  for (int64_t c = 0; c < x.shape[3]; ++c) {
    StoreElement(x.data, offset + t * x.stride[1] + c, bf16, row[c]);
  }
}

}  // namespace

void BlurQueriesCpu(const Tensor& q, const Segment& grid, double sigma, const Tensor& out) {
  const int64_t heads = q.shape[2], d = q.shape[3], h = grid.grid[1], w = grid.grid[2];
  const bool bf16 = q.dtype == DType::kBF16, mean = sigma > kMeanFrom;
  const std::vector<float> rows = mean ? std::vector<float>() : Taps(sigma, h);
  const std::vector<float> columns = mean ? std::vector<float>() : Taps(sigma, w);
  ParallelFor(q.shape[0] * heads, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> x(static_cast<size_t>(h * w * d)), y(x.size());
    for (int64_t i = begin; i < end; ++i) {
      const int64_t from = i / heads * q.stride[0] + i % heads * q.stride[2];
      const int64_t to = i / heads * out.stride[0] + i % heads * out.stride[2];
      const auto load = [&](int64_t t, float* row) {
        for (int64_t c = 0; c < d; ++c) {
          row[c] = LoadElement(q.data, from + t * q.stride[1] + c, bf16);
        }
      };
      for (int64_t t = 0; t < q.shape[1]; ++t) {
        if (t >= grid.begin && t < grid.begin + grid.length) continue;
        load(t, y.data());
        StoreRow(out, to, t, y.data());
      }
      for (int64_t first = grid.begin; first < grid.begin + grid.length; first += h * w) {
        if (mean) {
          const std::vector<float> row = MeanRow(q, from, first, h * w);
          for (int64_t t = 0; t < h * w; ++t) StoreRow(out, to, first + t, row.data());
          continue;
        }
        for (int64_t t = 0; t < h * w; ++t) load(first + t, x.data() + t * d);
        for (int64_t r = 0; r < h; ++r) {
          BlurLine(x.data() + r * w * d, w, 1, d, columns, y.data() + r * w * d);
        }
        for (int64_t c = 0; c < w; ++c) {
          BlurLine(y.data() + c * d, h, w, d, rows, x.data() + c * d);
        }
        for (int64_t t = 0; t < h * w; ++t) StoreRow(out, to, first + t, x.data() + t * d);
      }
    }
  });
}

void MeanQueryCpu(const Tensor& q, const Tensor& out) {
  const int64_t heads = q.shape[2];
  ParallelFor(q.shape[0] * heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t from = i / heads * q.stride[0] + i % heads * q.stride[2];
      const int64_t to = i / heads * out.stride[0] + i % heads * out.stride[2];
      const std::vector<float> row = MeanRow(q, from, 0, q.shape[1]);
      for (int64_t t = 0; t < out.shape[1]; ++t) StoreRow(out, to, t, row.data());
    }
  });
}

}  // namespace fovea
