#include "tensor/weights/weight_delta.h"

namespace fovea {
namespace {

// values += factors[0] * rows[0] + ... + factors[3] * rows[3]; rows `pitch` apart.
void AddFourRows(const float* factors, const float* rows, int64_t pitch, std::span<float> values) {
  const float *a = rows, *b = a + pitch, *c = b + pitch, *d = c + pitch;
  const float fa = factors[0], fb = factors[1], fc = factors[2], fd = factors[3];
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] += (fa * a[i] + fb * b[i]) + (fc * c[i] + fd * d[i]);
  }
}

}  // namespace

size_t WeightDelta::Bytes() const {
  size_t bytes = 0;
  for (const LowRankProduct& product : products) bytes += product.up.Bytes() + product.down.Bytes();
  return bytes;
}

void WeightDelta::AddTo(int64_t row, int64_t first, std::span<float> values) const {
  for (const LowRankProduct& product : products) {
    const int64_t rank = product.up.shape()[1], columns = product.down.shape()[1];
    const float* factors = product.up.Data<float>() + row * rank;
    const float* down = product.down.Data<float>() + first;
    int64_t k = 0;
    for (; k + 4 <= rank; k += 4) AddFourRows(factors + k, down + k * columns, columns, values);
    for (; k < rank; ++k) {
      const float factor = factors[k];
      const float* from = down + k * columns;
      for (size_t i = 0; i < values.size(); ++i) values[i] += factor * from[i];
    }
  }
}

}  // namespace fovea
