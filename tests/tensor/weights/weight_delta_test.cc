#include "tensor/weights/weight_delta.h"

#include <catch2/catch.hpp>
#include <cmath>

namespace fovea {
namespace {

TEST_CASE("weight delta: products of every rank add up") {
  constexpr int64_t kOut = 3, kColumns = 11;
  WeightDelta delta;
  for (const int64_t rank : {1, 3, 4, 6, 9}) {
    LowRankProduct product{HostTensor({kOut, rank}, DType::kF32),
                           HostTensor({rank, kColumns}, DType::kF32)};
    for (int64_t i = 0; i < kOut * rank; ++i) {
      product.up.Data<float>()[i] = std::sin(static_cast<float>(i * 7 + rank));
    }
    for (int64_t i = 0; i < rank * kColumns; ++i) {
      product.down.Data<float>()[i] = std::cos(static_cast<float>(i * 5 + rank));
    }
    delta.products.push_back(std::move(product));
  }
  for (int64_t row = 0; row < kOut; ++row) {
    for (int64_t first = 0; first < kColumns; first += 4) {
      std::vector<float> values(static_cast<size_t>(std::min<int64_t>(5, kColumns - first)), 2.0f);
      delta.AddTo(row, first, values);
      for (size_t c = 0; c < values.size(); ++c) {
        double want = 2;
        for (const LowRankProduct& product : delta.products) {
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

}  // namespace
}  // namespace fovea
