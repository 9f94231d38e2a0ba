#include "tensor/ops/norm/rms_norm.h"

#include <catch2/catch.hpp>

#include "tests/tensor/op_test.h"

namespace fovea {
namespace {

TEST_CASE("rms norm agrees with the definition") {
  OpTest test;
  ForEachTarget([&] {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const Shape& shape :
           {Shape{1, 5}, Shape{3, 4, 16}, Shape{2, 7, 3, 33}, Shape{2, 77, 768}}) {
        const int64_t c = shape[-1];
        HostTensor x = Random(shape, dtype, 1, 2, 1);
        const HostTensor gamma = Random({c}, DType::kF32, 2);
        HostTensor y = Poisoned(shape, dtype);
        ops::RmsNorm(test.ctx, x.View(), {}, 1e-6f, y.View());
        REQUIRE_CLOSE(y.View(), ReferenceRmsNorm(x.View(), {}, 1e-6f));
        const Reference want = ReferenceRmsNorm(x.View(), gamma.View(), 1e-5f);
        ops::RmsNorm(test.ctx, x.View(), gamma.View(), 1e-5f, x.View());
        REQUIRE_CLOSE(x.View(), want);
      }
    }
  });
}

TEST_CASE("rms norm takes strided rows, rows of zeros, and refuses a gamma that does not fit") {
  OpTest test;
  HostTensor wide = Random({4, 6, 50}, DType::kF32, 4);
  const Tensor x = wide.View().Slice(2, 7, 33).Slice(1, 1, 4);
  HostTensor y = Poisoned({4, 4, 33}, DType::kF32);
  ops::RmsNorm(test.ctx, x, {}, 1e-6f, y.View());
  REQUIRE_CLOSE(y.View(), ReferenceRmsNorm(x, {}, 1e-6f));

  HostTensor zeros({1, 20}, std::vector<float>(20, 0.0f));
  ops::RmsNorm(test.ctx, zeros.View(), {}, 1e-6f, zeros.View());
  for (int i = 0; i < 20; ++i) CHECK(zeros.Data<float>()[i] == 0.0f);

  HostTensor gamma({7}, DType::kF32);
  CHECK_THROWS_AS(ops::RmsNorm(test.ctx, zeros.View(), gamma.View(), 1e-6f, zeros.View()), Error);
}

}  // namespace
}  // namespace fovea
