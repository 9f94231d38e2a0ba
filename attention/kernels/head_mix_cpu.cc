// Mixed and blended heads on the CPU.
#include <vector>

#include "attention/kernels/cpu_kernels.h"
#include "attention/kernels/element.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

// Rows of out that `rows` holds.
RowRange Within(const RowRange& rows, const Tensor& out) {
  return {std::max<int64_t>(0, rows.begin), std::min(out.shape[1], rows.end)};
}

int64_t Offset(const Tensor& x, int64_t b, int64_t h) {
  return b * x.stride[0] + h * x.stride[2];
}

// Mean of one head of one sample over all tokens.
void MeanOf(const Tensor& v, int64_t from, std::vector<float>& mean) {
  const bool bf16 = v.dtype == DType::kBF16;
  std::vector<double> sum(mean.size());
  for (int64_t t = 0; t < v.shape[1]; ++t) {
    for (size_t c = 0; c < sum.size(); ++c) {
      sum[c] += LoadElement(v.data, from + t * v.stride[1] + static_cast<int64_t>(c), bf16);
    }
  }
  for (size_t c = 0; c < sum.size(); ++c) {
    mean[c] = static_cast<float>(sum[c] / static_cast<double>(v.shape[1]));
  }
}

}  // namespace

void ApplyHeadMixCpu(std::span<const HeadMix> mix, const Tensor& v, const Tensor& out) {
  const int64_t heads = out.shape[2], d = out.shape[3];
  const bool bf16 = out.dtype == DType::kBF16;
  ParallelFor(out.shape[0] * heads, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> mean(static_cast<size_t>(d));
    for (int64_t i = begin; i < end; ++i) {
      const HeadMix own = mix[static_cast<size_t>(i)];
      if (own.IsPlain()) continue;
      const int64_t from = Offset(v, i / heads, i % heads), to = Offset(out, i / heads, i % heads);
      if (own.e != 0) MeanOf(v, from, mean);
      const RowRange rows = Within(own.rows, out);
      for (int64_t t = rows.begin; t < rows.end; ++t) {
        for (int64_t c = 0; c < d; ++c) {
          const int64_t at = to + t * out.stride[1] + c;
          float y = own.a == 0 ? 0 : own.a * LoadElement(out.data, at, bf16);
          if (own.b != 0) y += own.b * LoadElement(v.data, from + t * v.stride[1] + c, bf16);
          if (own.e != 0) y += own.e * mean[static_cast<size_t>(c)];
          StoreElement(out.data, at, bf16, y);
        }
      }
    }
  });
}

void BlendHeadsCpu(const Tensor& x, float share, const RowRange& rows, const Tensor& out) {
  const int64_t heads = out.shape[2], d = out.shape[3];
  const int64_t step = x.shape[1] == 1 ? 0 : x.stride[1];
  const bool bf16 = out.dtype == DType::kBF16;
  const RowRange own = Within(rows, out);
  ParallelFor(out.shape[0] * heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t from = Offset(x, i / heads, i % heads), to = Offset(out, i / heads, i % heads);
      for (int64_t t = own.begin; t < own.end; ++t) {
        for (int64_t c = 0; c < d; ++c) {
          const int64_t at = to + t * out.stride[1] + c;
          const float other = LoadElement(x.data, from + t * step + c, bf16);
          const float y =
              share == 1 ? other : (1 - share) * LoadElement(out.data, at, bf16) + share * other;
          StoreElement(out.data, at, bf16, y);
        }
      }
    }
  });
}

}  // namespace fovea
