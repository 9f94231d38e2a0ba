#include "tensor/ops/norm/group_norm.h"

#include <catch2/catch.hpp>

#include "tests/tensor/op_test.h"

namespace fovea {
namespace {

struct Case {
  Shape shape;
  int groups;
};

const Case kCases[] = {{{1, 1, 1, 4}, 2},    {{2, 3, 5, 32}, 32},    {{2, 7, 9, 30}, 6},
                       {{1, 64, 35}, 5},     {{2, 19, 17, 320}, 32}, {{2, 8, 8, 1280}, 32},
                       {{1, 9, 8, 2560}, 32}};

TEST_CASE("group norm agrees with the definition, with everything fused") {
  OpTest test;
  ForEachTarget([&] {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const auto& [shape, groups] : kCases) {
        INFO(shape.ToString());
        const int64_t n = shape[0], c = shape[-1];
        HostTensor x = Random(shape, dtype, 1, 2, 1);
        const HostTensor gamma = Random({c}, DType::kF32, 2), beta = Random({c}, DType::kF32, 3);
        const HostTensor add = Random({n, c}, dtype, 4), shift = Random({n, c}, dtype, 5);
        HostTensor both = Random({n, 2 * c}, dtype, 6, 0.5f);
        GroupNormParams params{gamma.View(), beta.View(), groups, 1e-5f, Act::kNone, {}, {}, {}};
        HostTensor y = Poisoned(shape, dtype);
        ops::GroupNorm(test.ctx, x.View(), params, y.View());
        REQUIRE_CLOSE(y.View(), ReferenceGroupNorm(x.View(), params));

        params.act = Act::kSilu;
        params.add = add.View();
        params.scale = both.View().Slice(1, 0, c);
        params.shift = both.View().Slice(1, c, c);
        const Reference want = ReferenceGroupNorm(x.View(), params);
        ops::GroupNorm(test.ctx, x.View(), params, y.View());
        REQUIRE_CLOSE(y.View(), want);
        ops::GroupNorm(test.ctx, x.View(), params, x.View());
        REQUIRE_CLOSE(x.View(), want);
      }
    }
  });
}

// One-pass formulas lose everything here: the mean is a thousand deviations away from zero, and the
// first pixel, the shift of shifted formulas, is an outlier.
TEST_CASE("group norm keeps its accuracy far from zero") {
  OpTest test;
  ForEachTarget([&] {
    HostTensor x = Random({1, 40, 40, 64}, DType::kF32, 7, 1, 1000);
    for (int i = 0; i < 64; ++i) x.Data<float>()[i] = -3000;
    const HostTensor ones({64}, std::vector<float>(64, 1)), zeros({64}, DType::kF32);
    const GroupNormParams params{ones.View(), zeros.View(), 4, 1e-5f, Act::kNone, {}, {}, {}};
    HostTensor y = Poisoned(x.shape(), DType::kF32);
    ops::GroupNorm(test.ctx, x.View(), params, y.View());
    const Deviation deviation = Compare(y.View(), ReferenceGroupNorm(x.View(), params));
    // The subtraction of the folded mean rounds at 1000 / deviation * 2^-24.
    CHECK(deviation.max <= 1e-5);
  });
}

TEST_CASE("group norm gives the same bytes whatever the number of threads") {
  OpTest test;
  const HostTensor x = Random({2, 33, 31, 320}, DType::kF32, 8, 2, 1);
  const HostTensor gamma = Random({320}, DType::kF32, 2), beta = Random({320}, DType::kF32, 3);
  const GroupNormParams params{gamma.View(), beta.View(), 32, 1e-6f, Act::kSilu, {}, {}, {}};
  const int before = NumThreads();
  HostTensor one = Poisoned(x.shape(), DType::kF32), more = Poisoned(x.shape(), DType::kF32);
  SetNumThreads(1);
  ops::GroupNorm(test.ctx, x.View(), params, one.View());
  SetNumThreads(3);
  ops::GroupNorm(test.ctx, x.View(), params, more.View());
  SetNumThreads(before);
  CHECK(std::memcmp(one.data(), more.data(), one.Bytes()) == 0);
}

TEST_CASE("group norm refuses what does not fit") {
  OpTest test;
  HostTensor x({1, 4, 6}, DType::kF32), p({6}, DType::kF32);
  GroupNormParams params{p.View(), p.View(), 4, 1e-5f, Act::kNone, {}, {}, {}};
  CHECK_THROWS_AS(ops::GroupNorm(test.ctx, x.View(), params, x.View()), Error);
  params.groups = 3;
  params.add = p.View();
  CHECK_THROWS_AS(ops::GroupNorm(test.ctx, x.View(), params, x.View()), Error);
}

}  // namespace
}  // namespace fovea
