#include "tensor/ops/activation.h"
#include "tests/support/worst.h"

#include <catch2/catch.hpp>

#include "tests/tensor/op_test.h"

namespace fovea {
namespace {

constexpr Act kActs[] = {Act::kNone,     Act::kSilu,      Act::kGeluErf,
                         Act::kGeluTanh, Act::kQuickGelu, Act::kRelu};

TEST_CASE("activations agree with the definition over the whole range") {
  OpTest test;
  HostTensor x({40001}, DType::kF32);
  for (int i = 0; i <= 40000; ++i) x.Data<float>()[i] = (i - 20000) * 0.005f;  // -100 .. 100
  ForEachTarget([&] {
    for (const Act act : kActs) {
      INFO(Name(act));
      HostTensor y = Poisoned(x.shape(), DType::kF32);
      ops::Activate(test.ctx, x.View(), act, y.View());
      const Reference want = ReferenceActivate(x.View(), act);
      Worst worst, worst_relative;
      for (int i = 0; i <= 40000; ++i) {
        const double got = y.Data<float>()[i], size = std::fabs(want.v[i]);
        worst.Add(got, want.v[i], std::max(1.0, size));
        if (size > 1e-25) worst_relative.Add(got, want.v[i], size);
      }
      CHECK(worst.Value() <= 5e-7);
      // Relative, in the tails too; exp(-x²/2) there inherits the rounding of its argument.
      CHECK(worst_relative.Value() <= 2e-5);
    }
  });
}

TEST_CASE("activations keep NaN and infinity") {
  OpTest test;
  ForEachTarget([&] {
    for (const Act act : kActs) {
      INFO(Name(act));
      HostTensor x({3}, std::vector<float>{NAN, INFINITY, -200.0f});
      HostTensor y({3}, DType::kF32);
      ops::Activate(test.ctx, x.View(), act, y.View());
      CHECK(std::isnan(y.Data<float>()[0]));
      CHECK(y.Data<float>()[1] == INFINITY);
      if (act != Act::kNone) CHECK(std::fabs(y.Data<float>()[2]) < 1e-30f);
    }
  });
}

TEST_CASE("activations on odd sizes, in place and in bf16") {
  OpTest test;
  ForEachTarget([&] {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const int64_t size : {1, 7, 16, 33, 4097, 20000}) {
        for (const Act act : kActs) {
          HostTensor x = Random({size}, dtype, 5, 2);
          const Reference want = ReferenceActivate(x.View(), act);
          HostTensor y = Poisoned({size}, dtype);
          ops::Activate(test.ctx, x.View(), act, y.View());
          REQUIRE_CLOSE(y.View(), want);
          ops::Activate(test.ctx, x.View(), act, x.View());
          REQUIRE_CLOSE(x.View(), want);
        }
      }
    }
  });
}

TEST_CASE("gated activations multiply the first half by the second") {
  OpTest test;
  ForEachTarget([&] {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const Shape& shape : {Shape{1, 2}, Shape{3, 34}, Shape{2, 5, 64}, Shape{2, 63, 1280}}) {
        const HostTensor x = Random(shape, dtype, 6);
        Shape half = shape;
        half[-1] /= 2;
        for (const Act act : kActs) {
          HostTensor y = Poisoned(half, dtype);
          ops::GatedAct(test.ctx, x.View(), act, y.View());
          REQUIRE_CLOSE(y.View(), ReferenceGatedAct(x.View(), act));
        }
      }
    }
  });
}

TEST_CASE("activations refuse shapes that do not fit") {
  OpTest test;
  HostTensor x({2, 6}, DType::kF32), y({2, 6}, DType::kF32), odd({2, 5}, DType::kF32);
  CHECK_THROWS_AS(ops::Activate(test.ctx, x.View(), Act::kSilu, odd.View()), Error);
  CHECK_THROWS_AS(ops::GatedAct(test.ctx, x.View(), Act::kSilu, y.View()), Error);
  CHECK_THROWS_AS(
      ops::Activate(test.ctx, x.View().Permute({1, 0}), Act::kSilu, x.View().Permute({1, 0})),
      Error);
}

}  // namespace
}  // namespace fovea
