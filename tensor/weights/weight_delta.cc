#include "tensor/weights/weight_delta.h"

#include <algorithm>

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

void LowRankProduct::AddTo(int64_t row, int64_t first, std::span<const float> /*base*/,
                           std::span<float> values) const {
  const int64_t rank = up.shape()[1], columns = down.shape()[1];
  const float* factors = up.Data<float>() + row * rank;
  const float* from = down.Data<float>() + first;
  int64_t k = 0;
  for (; k + 4 <= rank; k += 4) AddFourRows(factors + k, from + k * columns, columns, values);
  for (; k < rank; ++k) {
    const float factor = factors[k];
    const float* each = from + k * columns;
    for (size_t i = 0; i < values.size(); ++i) values[i] += factor * each[i];
  }
}

size_t WeightDelta::Bytes() const {
  size_t bytes = 0;
  for (const PlacedTerm& placed : terms) bytes += placed.term->Bytes();
  return bytes;
}

void WeightDelta::AddTo(int64_t row, int64_t first, std::span<float> values) const {
  float base[DeltaTerm::kMostAtOnce];
  while (!values.empty()) {
    const size_t count = std::min(values.size(), DeltaTerm::kMostAtOnce);
    const std::span<float> piece = values.first(count);
    std::copy(piece.begin(), piece.end(), base);
    for (const PlacedTerm& placed : terms) {
      placed.term->AddTo(placed.RowOf(row), first, {base, count}, piece);
    }
    values = values.subspan(count);
    first += static_cast<int64_t>(count);
  }
}

}  // namespace fovea
