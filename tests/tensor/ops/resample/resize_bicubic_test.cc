#include "tensor/ops/resample/resize_bicubic.h"

#include <catch2/catch.hpp>

#include "tests/tensor/op_test.h"

namespace fovea {
namespace {

TEST_CASE("bicubic resizing agrees with the definition") {
  OpTest test;
  struct Size {
    int64_t h, w, to_h, to_w;
  };
  for (const auto& [h, w, to_h, to_w] :
       {Size{1, 1, 3, 2}, Size{4, 4, 4, 4}, Size{5, 7, 10, 14}, Size{9, 6, 17, 12},
        Size{6, 8, 5, 7}, Size{2, 19, 33, 4}}) {
    for (const int64_t c : {1, 19, 40}) {
      for (const DType dtype : {DType::kF32, DType::kBF16}) {
        INFO(h << "x" << w << " to " << to_h << "x" << to_w << ", channels " << c);
        const HostTensor x = Random({2, h, w, c}, dtype, 1);
        const Reference want = ReferenceResizeBicubic(x.View(), to_h, to_w);
        ForEachTarget([&] {
          HostTensor y = Poisoned({2, to_h, to_w, c}, dtype);
          ops::ResizeBicubic(test.ctx, x.View(), y.View());
          REQUIRE_CLOSE(y.View(), want);
        });
      }
    }
  }
}

TEST_CASE("bicubic resizing keeps constants and copies what has the same size") {
  OpTest test;
  HostTensor x({1, 6, 5, 3}, DType::kF32), y = Poisoned({1, 11, 4, 3}, DType::kF32);
  for (int64_t i = 0; i < x.NumElements(); ++i) x.Data<float>()[i] = 1.25f;
  ops::ResizeBicubic(test.ctx, x.View(), y.View());
  for (int64_t i = 0; i < y.NumElements(); ++i) CHECK(y.Data<float>()[i] == Approx(1.25));
  const HostTensor noise = Random({1, 6, 5, 3}, DType::kF32, 2);
  HostTensor same = Poisoned({1, 6, 5, 3}, DType::kF32);
  ops::ResizeBicubic(test.ctx, noise.View(), same.View());
  CHECK(Compare(same.View(), Reference::Of(noise.View())).max == 0);
}

TEST_CASE("bicubic resizing takes slices of channels") {
  OpTest test;
  const HostTensor x = Random({1, 3, 4, 8}, DType::kF32, 1);
  HostTensor y = Poisoned({1, 5, 6, 9}, DType::kF32);
  const Tensor from = x.View().Slice(3, 2, 5), to = y.View().Slice(3, 3, 5);
  ops::ResizeBicubic(test.ctx, from, to);
  REQUIRE_CLOSE(to, ReferenceResizeBicubic(from, 5, 6));
  CHECK(std::isnan(Reference::Of(y.View().Slice(3, 8, 1)).v[0]));
  CHECK(std::isnan(Reference::Of(y.View().Slice(3, 2, 1)).v[0]));
}

TEST_CASE("bicubic resizing refuses shapes that do not fit") {
  OpTest test;
  HostTensor x({1, 4, 4, 4}, DType::kF32), y({1, 8, 8, 5}, DType::kF32);
  CHECK_THROWS_AS(ops::ResizeBicubic(test.ctx, x.View(), y.View()), Error);
}

}  // namespace
}  // namespace fovea
