#include "tensor/ops/resample/average_pool.h"

#include <catch2/catch.hpp>

#include "tests/tensor/op_test.h"

namespace fovea {
namespace {

TEST_CASE("average pooling agrees with the definition, odd sides included") {
  OpTest test;
  for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{2, 4, 6, 16}, Shape{1, 5, 4, 19},
                             Shape{1, 8, 7, 40}, Shape{2, 3, 9, 33}}) {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      INFO(shape.ToString());
      const HostTensor x = Random(shape, dtype, 1);
      const Reference want = ReferenceAveragePool2x2(x.View());
      ForEachTarget([&] {
        HostTensor y = Poisoned(want.shape, dtype);
        ops::AveragePool2x2(test.ctx, x.View(), y.View());
        REQUIRE_CLOSE(y.View(), want);
      });
    }
  }
}

// What lies beyond the border does not count: ones stay ones.
TEST_CASE("average pooling divides by the pixels that there are") {
  OpTest test;
  HostTensor x({1, 5, 3, 2}, DType::kF32), y = Poisoned({1, 3, 2, 2}, DType::kF32);
  for (int64_t i = 0; i < x.NumElements(); ++i) x.Data<float>()[i] = 1;
  ops::AveragePool2x2(test.ctx, x.View(), y.View());
  for (int64_t i = 0; i < y.NumElements(); ++i) CHECK(y.Data<float>()[i] == 1);
}

TEST_CASE("average pooling takes slices of channels") {
  OpTest test;
  const HostTensor x = Random({1, 3, 4, 8}, DType::kF32, 1);
  HostTensor y = Poisoned({1, 2, 2, 9}, DType::kF32);
  const Tensor from = x.View().Slice(3, 2, 5), to = y.View().Slice(3, 3, 5);
  ops::AveragePool2x2(test.ctx, from, to);
  REQUIRE_CLOSE(to, ReferenceAveragePool2x2(from));
  CHECK(std::isnan(Reference::Of(y.View().Slice(3, 8, 1)).v[0]));
}

}  // namespace
}  // namespace fovea
