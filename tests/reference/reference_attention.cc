#include "tests/reference/reference_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace fovea::reference {

double At(const Tensor& x, std::initializer_list<int64_t> index) {
  int64_t offset = 0;
  int axis = 0;
  for (int64_t i : index) offset += i * x.stride[static_cast<size_t>(axis++)];
  switch (x.dtype) {
    case DType::kF32:
      return static_cast<const float*>(x.data)[offset];
    case DType::kF64:
      return static_cast<const double*>(x.data)[offset];
    case DType::kBF16:
      return ToFloat(static_cast<const BFloat16*>(x.data)[offset]);
    case DType::kF16:
      return ToFloat(static_cast<const Float16*>(x.data)[offset]);
    default:
      return std::numeric_limits<double>::quiet_NaN();
  }
}

AttentionResult Attention(const Tensor& q, const Tensor& k, const Tensor& v, double scale,
                          const std::function<bool(int64_t, int64_t)>& sees) {
  const int64_t batch = q.shape[0], t = q.shape[1], heads = q.shape[2], d = q.shape[3];
  const int64_t kv = k.shape[1];
  AttentionResult result;
  result.out.resize(static_cast<size_t>(batch * t * heads * d));
  result.lse.resize(static_cast<size_t>(batch * heads * t));
  std::vector<double> score(static_cast<size_t>(kv));
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t i = 0; i < t; ++i) {
        double max = -std::numeric_limits<double>::infinity();
        for (int64_t j = 0; j < kv; ++j) {
          double dot = 0;
          for (int64_t c = 0; c < d; ++c) dot += At(q, {b, i, h, c}) * At(k, {b, j, h, c});
          score[static_cast<size_t>(j)] =
              sees(i, j) ? dot * scale : -std::numeric_limits<double>::infinity();
          max = std::max(max, score[static_cast<size_t>(j)]);
        }
        double sum = 0;
        for (double& s : score) sum += s = std::exp(s - max);
        result.lse[static_cast<size_t>((b * heads + h) * t + i)] = max + std::log(sum);
        for (int64_t c = 0; c < d; ++c) {
          double value = 0;
          for (int64_t j = 0; j < kv; ++j)
            value += score[static_cast<size_t>(j)] * At(v, {b, j, h, c});
          result.out[static_cast<size_t>(((b * t + i) * heads + h) * d + c)] = value / sum;
        }
      }
    }
  }
  return result;
}

}  // namespace fovea::reference
