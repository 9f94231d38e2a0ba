#include "tensor/ops/norm/layer_norm.h"

#include <catch2/catch.hpp>

#include "tests/tensor/op_test.h"

namespace fovea {
namespace {

TEST_CASE("layer norm agrees with the definition") {
  OpTest test;
  ForEachTarget([&] {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const Shape& shape : {Shape{1, 5}, Shape{3, 16}, Shape{2, 7, 33}, Shape{2, 77, 768}}) {
        const int64_t c = shape[-1];
        HostTensor x = Random(shape, dtype, 1, 2, 3);
        const HostTensor gamma = Random({c}, DType::kF32, 2), beta = Random({c}, DType::kF32, 3);
        HostTensor y = Poisoned(shape, dtype);
        ops::LayerNorm(test.ctx, x.View(), gamma.View(), beta.View(), 1e-5f, y.View());
        const Reference want = ReferenceLayerNorm(x.View(), gamma.View(), beta.View(), 1e-5f);
        REQUIRE_CLOSE(y.View(), want);
        ops::LayerNorm(test.ctx, x.View(), {}, {}, 1e-6f, y.View());
        REQUIRE_CLOSE(y.View(), ReferenceLayerNorm(x.View(), {}, {}, 1e-6f));
        ops::LayerNorm(test.ctx, x.View(), gamma.View(), beta.View(), 1e-5f, x.View());
        REQUIRE_CLOSE(x.View(), want);
      }
    }
  });
}

TEST_CASE("layer norm takes strided rows and constant rows") {
  OpTest test;
  HostTensor wide = Random({4, 6, 50}, DType::kF32, 4);
  const Tensor x = wide.View().Slice(2, 7, 33).Slice(1, 1, 4);
  HostTensor y = Poisoned({4, 4, 33}, DType::kF32);
  ops::LayerNorm(test.ctx, x, {}, {}, 1e-5f, y.View());
  REQUIRE_CLOSE(y.View(), ReferenceLayerNorm(x, {}, {}, 1e-5f));

  HostTensor flat({1, 20}, std::vector<float>(20, 3.0f));
  ops::LayerNorm(test.ctx, flat.View(), {}, {}, 1e-5f, flat.View());
  for (int i = 0; i < 20; ++i) CHECK(flat.Data<float>()[i] == 0.0f);
}

TEST_CASE("a modulated layer norm has a scale and a shift for each sample") {
  OpTest test;
  ForEachTarget([&] {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const Shape& shape :
           {Shape{1, 1, 5}, Shape{3, 4, 16}, Shape{2, 9, 33}, Shape{2, 77, 768}}) {
        const int64_t n = shape[0], c = shape[2];
        HostTensor x = Random(shape, dtype, 1, 2, 3), rows = Random({n, 6 * c}, dtype, 2);
        const HostTensor gamma = Random({c}, DType::kF32, 3), beta = Random({c}, DType::kF32, 4);
        LayerNormParams params{
            {}, {}, 1e-6f, rows.View().Slice(1, c, c), rows.View().Slice(1, 4 * c, c)};
        HostTensor y = Poisoned(shape, dtype);
        ops::ModulatedLayerNorm(test.ctx, x.View(), params, y.View());
        REQUIRE_CLOSE(y.View(), ReferenceModulatedLayerNorm(x.View(), params));
        params.gamma = gamma.View();
        params.beta = beta.View();
        const Reference want = ReferenceModulatedLayerNorm(x.View(), params);
        ops::ModulatedLayerNorm(test.ctx, x.View(), params, x.View());
        REQUIRE_CLOSE(x.View(), want);
      }
    }
  });
  HostTensor x({2, 3, 8}, DType::kF32), one({1, 8}, DType::kF32), two({2, 8}, DType::kF32);
  CHECK_THROWS_AS(ops::ModulatedLayerNorm(test.ctx, x.View(),
                                          {{}, {}, 1e-6f, two.View(), one.View()}, x.View()),
                  Error);
}

TEST_CASE("layer norm refuses parameters that do not fit") {
  OpTest test;
  HostTensor x({2, 8}, DType::kF32), gamma({7}, DType::kF32), half({8}, DType::kBF16);
  CHECK_THROWS_AS(ops::LayerNorm(test.ctx, x.View(), gamma.View(), {}, 1e-5f, x.View()), Error);
  CHECK_THROWS_AS(ops::LayerNorm(test.ctx, x.View(), half.View(), {}, 1e-5f, x.View()), Error);
}

}  // namespace
}  // namespace fovea
