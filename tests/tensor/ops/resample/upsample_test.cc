#include "tensor/ops/resample/upsample.h"

#include <catch2/catch.hpp>

#include "tests/tensor/op_test.h"

namespace fovea {
namespace {

TEST_CASE("nearest upsampling picks PyTorch's rows and columns") {
  OpTest test;
  struct Size {
    int64_t h, w, to_h, to_w;
  };
  for (const auto& [h, w, to_h, to_w] :
       {Size{1, 1, 2, 2}, Size{3, 5, 6, 10}, Size{3, 5, 5, 9}, Size{4, 4, 4, 4}, Size{7, 9, 13, 17},
        Size{29, 31, 47, 53}}) {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      INFO(h << "x" << w << " to " << to_h << "x" << to_w);
      const HostTensor x = Random({2, h, w, 5}, dtype, 1);
      HostTensor y = Poisoned({2, to_h, to_w, 5}, dtype);
      ops::UpsampleNearest(test.ctx, x.View(), y.View());
      CHECK(Compare(y.View(), ReferenceUpsampleNearest(x.View(), to_h, to_w)).max == 0);
    }
  }
}

// torch.nn.functional.interpolate(torch.arange(29.)[None, None], size=41)
TEST_CASE("nearest upsampling rounds the ratio as PyTorch does") {
  OpTest test;
  HostTensor x({1, 1, 29, 1}, DType::kF32), y({1, 1, 41, 1}, DType::kF32);
  for (int i = 0; i < 29; ++i) x.Data<float>()[i] = static_cast<float>(i);
  ops::UpsampleNearest(test.ctx, x.View(), y.View());
  const int want[41] = {0,  0,  1,  2,  2,  3,  4,  4,  5,  6,  7,  7,  8,  9,
                        9,  10, 11, 12, 12, 13, 14, 14, 15, 16, 16, 17, 18, 19,
                        19, 20, 21, 21, 22, 23, 24, 24, 25, 26, 26, 27, 28};
  for (int i = 0; i < 41; ++i) CHECK(y.Data<float>()[i] == want[i]);
}

TEST_CASE("nearest upsampling takes slices of channels") {
  OpTest test;
  const HostTensor x = Random({1, 3, 3, 8}, DType::kF32, 1);
  HostTensor y = Poisoned({1, 6, 6, 9}, DType::kF32);
  const Tensor from = x.View().Slice(3, 2, 4), to = y.View().Slice(3, 4, 4);
  ops::UpsampleNearest(test.ctx, from, to);
  CHECK(Compare(to, ReferenceUpsampleNearest(from, 6, 6)).max == 0);
  CHECK(std::isnan(Reference::Of(y.View().Slice(3, 8, 1)).v[0]));
}

}  // namespace
}  // namespace fovea
