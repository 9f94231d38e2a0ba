#include "tensor/weight_delta.h"

namespace fovea {

void WeightDelta::AddTo(int64_t row, int64_t first, std::span<float> values) const {
  for (const LowRankProduct& product : products) {
    const int64_t rank = product.up.shape()[1], columns = product.down.shape()[1];
    const float* factors = product.up.Data<float>() + row * rank;
    for (int64_t k = 0; k < rank; ++k) {
      const float factor = factors[k];
      const float* from = product.down.Data<float>() + k * columns + first;
      for (size_t c = 0; c < values.size(); ++c) values[c] += factor * from[c];
    }
  }
}

}  // namespace fovea
