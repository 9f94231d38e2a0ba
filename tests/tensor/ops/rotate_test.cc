#include "tensor/ops/rotate.h"

#include <catch2/catch.hpp>

#include "tests/tensor/op_test.h"

namespace fovea {
namespace {

HostTensor Tables(int64_t t, int64_t d) {
  HostTensor tables({t, 2, d}, DType::kF32);
  for (int64_t i = 0; i < t; ++i) {
    for (int64_t k = 0; k < d; k += 2) {
      const double angle = 0.37 * double(i) + 0.11 * double(k * i) - 1;
      float* row = tables.Data<float>() + i * 2 * d + k;
      row[0] = row[1] = static_cast<float>(std::cos(angle));
      row[d + 1] = static_cast<float>(std::sin(angle));
      row[d] = -row[d + 1];
    }
  }
  return tables;
}

TEST_CASE("pairs of channels turn by the angles of their token") {
  OpTest test;
  ForEachTarget([&] {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const Shape& shape :
           {Shape{1, 1, 1, 2}, Shape{2, 5, 3, 16}, Shape{2, 7, 2, 38}, Shape{1, 40, 3, 128}}) {
        const HostTensor tables = Tables(shape[1], shape[3]);
        HostTensor x = Random(shape, dtype, 1);
        HostTensor y = Poisoned(shape, dtype);
        const Reference want = ReferenceRotate(x.View(), tables.View());
        ops::Rotate(test.ctx, x.View(), tables.View(), y.View());
        REQUIRE_CLOSE(y.View(), want);
        ops::Rotate(test.ctx, x.View(), tables.View(), x.View());
        REQUIRE_CLOSE(x.View(), want);
        // A part of wider rows, as of q, k and v side by side.
        const HostTensor wide = Random({shape[0], shape[1], shape[2], shape[3] + 10}, dtype, 2);
        const Tensor part = wide.View().Slice(3, 6, shape[3]);
        ops::Rotate(test.ctx, part, tables.View(), y.View());
        REQUIRE_CLOSE(y.View(), ReferenceRotate(part, tables.View()));
      }
    }
  });
}

TEST_CASE("tables of another number of tokens are refused") {
  OpTest test;
  HostTensor x({1, 4, 2, 8}, DType::kF32);
  const HostTensor tables = Tables(3, 8);
  CHECK_THROWS_AS(ops::Rotate(test.ctx, x.View(), tables.View(), x.View()), Error);
}

}  // namespace
}  // namespace fovea
