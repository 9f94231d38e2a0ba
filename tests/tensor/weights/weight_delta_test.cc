#include "tensor/weights/weight_delta.h"

#include <catch2/catch.hpp>
#include <cmath>

namespace fovea {
namespace {

TEST_CASE("weight delta: products of every rank add up") {
  constexpr int64_t kOut = 3, kColumns = 11;
  WeightDelta delta;
  std::vector<std::shared_ptr<const LowRankProduct>> products;
  for (const int64_t rank : {1, 3, 4, 6, 9}) {
    const auto made = std::make_shared<LowRankProduct>(HostTensor({kOut, rank}, DType::kF32),
                                                       HostTensor({rank, kColumns}, DType::kF32));
    LowRankProduct& product = *made;
    for (int64_t i = 0; i < kOut * rank; ++i) {
      product.up.Data<float>()[i] = std::sin(static_cast<float>(i * 7 + rank));
    }
    for (int64_t i = 0; i < rank * kColumns; ++i) {
      product.down.Data<float>()[i] = std::cos(static_cast<float>(i * 5 + rank));
    }
    delta.terms.push_back({made});
    products.push_back(made);
  }
  for (int64_t row = 0; row < kOut; ++row) {
    for (int64_t first = 0; first < kColumns; first += 4) {
      std::vector<float> values(static_cast<size_t>(std::min<int64_t>(5, kColumns - first)), 2.0f);
      delta.AddTo(row, first, values);
      for (size_t c = 0; c < values.size(); ++c) {
        double want = 2;
        for (const auto& each : products) {
          const LowRankProduct& product = *each;
          const int64_t rank = product.up.shape()[1];
          for (int64_t k = 0; k < rank; ++k) {
            want += double{product.up.Data<float>()[row * rank + k]} *
                    product.down.Data<float>()[k * kColumns + first + static_cast<int64_t>(c)];
          }
        }
        CHECK(std::abs(values[c] - want) < 1e-5);
      }
    }
  }
}

// Adds ten times the row it was asked for, and the weight itself.
struct RowTerm final : DeltaTerm {
  size_t Bytes() const override { return 7; }
  void AddTo(int64_t row, int64_t first, std::span<const float> base,
             std::span<float> values) const override {
    CHECK(values.size() <= kMostAtOnce);
    for (size_t c = 0; c < values.size(); ++c) {
      values[c] += static_cast<float>(10 * row) + base[c] +
                   1000 * static_cast<float>(first + static_cast<int64_t>(c));
    }
  }
};

TEST_CASE("weight delta: rows of a part, halves swapped, each term sees the weight alone") {
  const auto term = std::make_shared<RowTerm>();
  const WeightDelta delta{{{term, 4, 0}, {term, 4, 6}}};
  CHECK(delta.Bytes() == 14);
  for (int64_t row = 0; row < 6; ++row) {
    std::vector<float> values(1100, 3.0f);
    delta.AddTo(row, 2, values);
    for (const size_t c : {size_t{0}, size_t{511}, size_t{512}, size_t{1099}}) {
      const auto rows = static_cast<double>(10 * (4 + row) + 10 * (4 + (row + 3) % 6));
      CHECK(values[c] == static_cast<float>(3 + rows + 6 + 2000.0 * static_cast<double>(2 + c)));
    }
  }
}

}  // namespace
}  // namespace fovea
