#include "models/lora/delta_terms.h"

#include <algorithm>
#include <cmath>

namespace fovea {
namespace {

constexpr size_t kMost = DeltaTerm::kMostAtOnce;

template <class T, class F>
void ForElements(const T* from, size_t count, F use) {
  for (size_t i = 0; i < count; ++i) {
    if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) {
      use(i, static_cast<float>(from[i]));
    } else {
      use(i, ToFloat(from[i]));
    }
  }
}

// use(i, value) for elements [first, first + count) of a row of a contiguous (rows, ...) tensor.
// The tensor may lie at any address, as files have them.
template <class F>
void ForRow(const Tensor& tensor, int64_t row, int64_t first, size_t count, F use) {
  const int64_t columns = tensor.NumElements() / tensor.shape[0];
  const auto* bytes = static_cast<const std::byte*>(tensor.data) +
                      static_cast<size_t>(row * columns + first) * SizeOf(tensor.dtype);
  const auto run = [&]<class T>(T) {
    T aligned[kMost];
    std::copy_n(bytes, count * sizeof(T), reinterpret_cast<std::byte*>(aligned));
    ForElements(aligned, count, use);
  };
  switch (tensor.dtype) {
    case DType::kF32:
      return run(float{});
    case DType::kF64:
      return run(double{});
    case DType::kBF16:
      return run(BFloat16{});
    case DType::kF16:
      return run(Float16{});
    default:
      break;
  }
  ENSURE(false, std::string(Name(tensor.dtype)));
}

}  // namespace

void HadamardTerm::AddTo(int64_t row, int64_t first, std::span<const float> base,
                         std::span<float> values) const {
  float a[kMost] = {}, b[kMost] = {};
  a_.AddTo(row, first, base, {a, values.size()});
  b_.AddTo(row, first, base, {b, values.size()});
  for (size_t i = 0; i < values.size(); ++i) values[i] += a[i] * b[i];
}

void KroneckerTerm::AddTo(int64_t row, int64_t first, std::span<const float> /*base*/,
                          std::span<float> values) const {
  const int64_t columns = w2_.shape()[1], rows = w2_.shape()[0];
  const float* factors = w1_.Data<float>() + row / rows * w1_.shape()[1];
  const float* block = w2_.Data<float>() + row % rows * columns;
  int64_t j = first / columns, within = first % columns;
  for (float& value : values) {
    value += factors[j] * block[within];
    if (++within < columns) continue;
    within = 0;
    ++j;
  }
}

void WholeTerm::AddTo(int64_t row, int64_t first, std::span<const float> /*base*/,
                      std::span<float> values) const {
  const auto scale = static_cast<float>(scale_);
  ForRow(difference_, row, first, values.size(),
         [&](size_t i, float value) { values[i] += scale * value; });
}

void FactorTerm::AddTo(int64_t row, int64_t first, std::span<const float> base,
                       std::span<float> values) const {
  for (size_t i = 0; i < values.size(); ++i) {
    const int64_t at = positions_ > 0 ? (first + static_cast<int64_t>(i)) / positions_ : row;
    values[i] += factors_[static_cast<size_t>(at)] * base[i];
  }
}

DirectionTerm::DirectionTerm(Tensor weight, PlacedTerm term, std::vector<float> magnitudes,
                             int64_t positions, double scale)
    : weight_(weight),
      term_(std::move(term)),
      magnitudes_(std::move(magnitudes)),
      positions_(positions),
      scale_(scale),
      row_norms_(positions > 0 ? 0 : magnitudes_.size()) {
  for (auto& norm : row_norms_) norm = -1;
}

size_t DirectionTerm::Bytes() const {
  return term_.term->Bytes() + 2 * magnitudes_.size() * sizeof(float);
}

void DirectionTerm::ReadMerged(int64_t row, int64_t first, std::span<float> values) const {
  float base[kMost];
  ForRow(weight_, row, first, values.size(), [&](size_t i, float value) { base[i] = value; });
  std::copy_n(base, values.size(), values.begin());
  term_.term->AddTo(term_.RowOf(row), first, {base, values.size()}, values);
}

float DirectionTerm::NormOfRow(int64_t row) const {
  std::atomic<float>& kept = row_norms_[static_cast<size_t>(row)];
  if (const float norm = kept.load(std::memory_order_relaxed); norm >= 0) return norm;
  const int64_t columns = weight_.NumElements() / weight_.shape[0];
  float merged[kMost];
  double sum = 0;
  for (int64_t first = 0; first < columns; first += static_cast<int64_t>(kMost)) {
    const auto count = std::min(kMost, static_cast<size_t>(columns - first));
    ReadMerged(row, first, {merged, count});
    for (size_t i = 0; i < count; ++i) sum += double{merged[i]} * merged[i];
  }
  const auto norm = static_cast<float>(std::sqrt(sum));
  kept.store(norm, std::memory_order_relaxed);  // whoever finds it finds the same
  return norm;
}

void DirectionTerm::FindInputNorms() const {
  const int64_t rows = weight_.shape[0], columns = weight_.NumElements() / rows;
  std::vector<double> sums(magnitudes_.size());
  float merged[kMost];
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t first = 0; first < columns; first += static_cast<int64_t>(kMost)) {
      const auto count = std::min(kMost, static_cast<size_t>(columns - first));
      ReadMerged(row, first, {merged, count});
      for (size_t i = 0; i < count; ++i) {
        const int64_t input = (first + static_cast<int64_t>(i)) / positions_;
        sums[static_cast<size_t>(input)] += double{merged[i]} * merged[i];
      }
    }
  }
  input_norms_.resize(sums.size());
  for (size_t i = 0; i < sums.size(); ++i) input_norms_[i] = static_cast<float>(std::sqrt(sums[i]));
}

void DirectionTerm::AddTo(int64_t row, int64_t first, std::span<const float> base,
                          std::span<float> values) const {
  float merged[kMost];
  std::copy(base.begin(), base.end(), merged);
  term_.term->AddTo(term_.RowOf(row), first, base, {merged, values.size()});
  if (positions_ > 0) std::call_once(once_, [this] { FindInputNorms(); });
  const auto scale = static_cast<float>(scale_);
  for (size_t i = 0; i < values.size(); ++i) {
    const int64_t input = positions_ > 0 ? (first + static_cast<int64_t>(i)) / positions_ : row;
    const auto at = static_cast<size_t>(input);
    const float norm = positions_ > 0 ? input_norms_[at] : NormOfRow(row);
    // A direction without length stays one.
    const float turned = norm > 0 ? magnitudes_[at] / norm * merged[i] : 0;
    values[i] += scale * (turned - base[i]);
  }
}

void RotationTerm::AddTo(int64_t row, int64_t first, std::span<const float> base,
                         std::span<float> values) const {
  const int64_t size = rotations_.shape()[1], begin = row / size * size;
  const float* rotation = rotations_.Data<float>() + row / size * size * size + row % size;
  float turned[kMost] = {};
  for (int64_t n = 0; n < size; ++n) {
    const float factor = rotation[n * size];
    ForRow(weight_, begin + n, first, values.size(),
           [&](size_t i, float value) { turned[i] += factor * value; });
  }
  const float rescale = rescale_.empty() ? 1 : rescale_[static_cast<size_t>(row)];
  const auto scale = static_cast<float>(scale_);
  for (size_t i = 0; i < values.size(); ++i) values[i] += scale * (rescale * turned[i] - base[i]);
}

HostTensor CayleyRotations(const HostTensor& blocks, double bound) {
  const int64_t groups = blocks.shape()[0], n = blocks.shape()[1];
  const float* b = blocks.Data<float>();
  const auto q = [&](int64_t group, int64_t i, int64_t j) {
    return double{b[(group * n + i) * n + j]} - b[(group * n + j) * n + i];
  };
  double norm = 0;
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) norm += q(g, i, j) * q(g, i, j);
    }
  }
  norm = std::sqrt(norm) + 1e-8;
  const double factor = bound > 0 && norm > bound ? bound / norm : 1;
  HostTensor out(blocks.shape(), DType::kF32);
  // R (I - Q) = I + Q, and the transposes: (I + Q) R^T = I - Q, since Q^T = -Q. I + Q has an
  // inverse for every such Q; its pivots are the largest of their columns.
  std::vector<double> left(static_cast<size_t>(n * n)), right(left.size());
  for (int64_t g = 0; g < groups; ++g) {
    const auto at = [n](int64_t i, int64_t j) { return static_cast<size_t>(i * n + j); };
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        const double unit = i == j ? 1 : 0, value = factor * q(g, i, j);
        left[at(i, j)] = unit + value;
        right[at(i, j)] = unit - value;
      }
    }
    for (int64_t k = 0; k < n; ++k) {
      int64_t pivot = k;
      for (int64_t i = k + 1; i < n; ++i) {
        if (std::abs(left[at(i, k)]) > std::abs(left[at(pivot, k)])) pivot = i;
      }
      for (int64_t j = 0; j < n; ++j) {
        std::swap(left[at(k, j)], left[at(pivot, j)]);
        std::swap(right[at(k, j)], right[at(pivot, j)]);
      }
      const double inverse = 1 / left[at(k, k)];
      for (int64_t j = 0; j < n; ++j) {
        left[at(k, j)] *= inverse;
        right[at(k, j)] *= inverse;
      }
      for (int64_t i = 0; i < n; ++i) {
        const double times = left[at(i, k)];
        if (i == k || times == 0) continue;
        for (int64_t j = 0; j < n; ++j) {
          left[at(i, j)] -= times * left[at(k, j)];
          right[at(i, j)] -= times * right[at(k, j)];
        }
      }
    }
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        out.Data<float>()[(g * n + i) * n + j] = static_cast<float>(right[at(j, i)]);
      }
    }
  }
  return out;
}

}  // namespace fovea
