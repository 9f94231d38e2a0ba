#include "tensor/ops/product/linear.h"

#include <catch2/catch.hpp>

#include "tensor/ops/elementwise.h"
#include "tests/support/worst.h"
#include "tests/tensor/op_test.h"

namespace fovea {
namespace {

struct Case {
  Shape x;
  int64_t out;
};

const Case kCases[] = {{{1, 1}, 1},         {{5, 33}, 17},     {{2, 320}, 1280},
                       {{1, 7, 9, 24}, 50}, {{2, 77, 48}, 96}, {{1, 130, 200}, 64},
                       {{70, 768}, 130}};

HostTensor WeightMatrix(int64_t out, int64_t in, DType dtype) {
  return Random({out, in}, dtype, 11, 1 / std::sqrt(static_cast<float>(in)));
}

Shape WithLast(Shape shape, int64_t last) {
  shape[-1] = last;
  return shape;
}

TEST_CASE("linear agrees with the definition for every dtype of weights and activations") {
  OpTest test;
  ForEachTarget([&] {
    for (const auto& [shape, out] : kCases) {
      for (const DType wtype : {DType::kF32, DType::kF16, DType::kBF16}) {
        for (const DType dtype : {DType::kF32, DType::kBF16}) {
          INFO(shape.ToString() << " to " << out << ", weights " << Name(wtype) << ", activations "
                                << Name(dtype));
          const HostTensor x = Random(shape, dtype, 1);
          const HostTensor w = WeightMatrix(out, shape[-1], wtype);
          const HostTensor bias = Random({out}, DType::kF32, 2);
          HostTensor y = Poisoned(WithLast(shape, out), dtype);
          Weight weight{w.View(), bias.View()};
          Weight rounded = weight;  // bf16 arithmetic sees weights in bf16
          HostTensor w16(w.shape(), DType::kBF16);
          if (dtype == DType::kBF16) {
            ops::Copy(test.ctx, w.View(), w16.View());
            rounded.w = w16.View();
          }
          ops::Linear(test.ctx, x.View(), weight, y.View());
          REQUIRE_CLOSE(y.View(), ReferenceLinear(x.View(), rounded, {}));
          weight.bias = rounded.bias = {};
          ops::Linear(test.ctx, x.View(), weight, y.View());
          REQUIRE_CLOSE(y.View(), ReferenceLinear(x.View(), rounded, {}));
        }
      }
    }
  });
}

TEST_CASE("narrow weights of an f32 file are held in bf16, widened exactly") {
  OpTest test;
  test.ctx.narrow_weights = true;
  for (const auto& [shape, out] : kCases) {
    INFO(shape.ToString() << " to " << out);
    const HostTensor x = Random(shape, DType::kF32, 1);
    const HostTensor w = WeightMatrix(out, shape[-1], DType::kF32);
    HostTensor w16(w.shape(), DType::kBF16);
    ops::Copy(test.ctx, w.View(), w16.View());
    HostTensor y = Poisoned(WithLast(shape, out), DType::kF32);
    const Weight weight{w.View(), {}}, rounded{w16.View(), {}};
    const size_t before = test.backend->PackedBytes();
    ops::Linear(test.ctx, x.View(), weight, y.View());
    REQUIRE_CLOSE(y.View(), ReferenceLinear(x.View(), rounded, {}));
    CHECK(test.backend->PackedBytes() - before == w16.Bytes());
  }
}

TEST_CASE("linear fuses bias, activation and residual") {
  OpTest test;
  ForEachTarget([&] {
    for (const DType wtype : {DType::kF32, DType::kF16}) {
      for (const Act act :
           {Act::kNone, Act::kSilu, Act::kGeluErf, Act::kGeluTanh, Act::kQuickGelu, Act::kRelu}) {
        for (const Shape& shape : {Shape{3, 20}, Shape{2, 65, 96}}) {
          INFO(Name(act) << " " << shape.ToString() << " " << Name(wtype));
          const int64_t out = 80;
          const HostTensor x = Random(shape, DType::kF32, 1, 2);
          const HostTensor w = WeightMatrix(out, shape[-1], wtype);
          const HostTensor bias = Random({out}, DType::kF32, 2);
          const Weight weight{w.View(), bias.View()};
          const Shape to = WithLast(shape, out);
          HostTensor residual = Random(to, DType::kF32, 3);
          const Tensor view = residual.View();
          HostTensor y = Poisoned(to, DType::kF32);
          ops::Linear(test.ctx, x.View(), weight, y.View(), {act, nullptr});
          REQUIRE_CLOSE(y.View(), ReferenceLinear(x.View(), weight, {act, nullptr}));
          const Reference want = ReferenceLinear(x.View(), weight, {act, &view});
          ops::Linear(test.ctx, x.View(), weight, y.View(), {act, &view});
          REQUIRE_CLOSE(y.View(), want);
          ops::Linear(test.ctx, x.View(), weight, view, {act, &view});
          REQUIRE_CLOSE(view, want);
        }
      }
    }
  });
}

TEST_CASE("fused gelu keeps f32 accuracy") {
  OpTest test;
  // An identity matrix: the product is exact and the activation's own error is seen.
  const int64_t c = 16;
  HostTensor x({1024, c}, DType::kF32), w({c, c}, DType::kF32), y({1024, c}, DType::kF32);
  for (int i = 0; i < c; ++i) w.Data<float>()[i * c + i] = 1;
  for (int i = 0; i < 1024 * c; ++i) x.Data<float>()[i] = (i - 512 * c) * 0.0012f;
  const Weight weight{w.View(), {}};
  for (const Act act : {Act::kSilu, Act::kGeluErf, Act::kGeluTanh, Act::kQuickGelu}) {
    INFO(Name(act));
    ops::Linear(test.ctx, x.View(), weight, y.View(), {act, nullptr});
    Worst worst;
    for (int i = 0; i < 1024 * c; ++i) {
      const double v = x.Data<float>()[i];
      worst.Add(y.Data<float>()[i], ReferenceAct(act, v), std::max(1.0, std::fabs(v)));
    }
    CHECK(worst.Value() <= 1e-6);
  }
}

TEST_CASE("linear takes strided rows in and out") {
  OpTest test;
  for (const DType wtype : {DType::kF32, DType::kF16}) {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      INFO(Name(wtype) << " " << Name(dtype));
      HostTensor wide = Random({2, 12, 100}, dtype, 1);
      const HostTensor w = WeightMatrix(32, 40, wtype);
      HostTensor w16(w.shape(), DType::kBF16);
      ops::Copy(test.ctx, w.View(), w16.View());
      const Weight weight{w.View(), {}};
      const Weight rounded{dtype == DType::kBF16 ? w16.View() : w.View(), {}};
      HostTensor y = Poisoned({2, 12, 70}, dtype);
      const Tensor out = y.View().Slice(2, 5, 32);
      const Tensor x = wide.View().Slice(2, 30, 40);
      ops::Linear(test.ctx, x, weight, out);
      REQUIRE_CLOSE(out, ReferenceLinear(x, rounded, {}));
      // Rows without one common stride, and a strided residual that is the output.
      const Tensor part = x.Slice(1, 3, 5), to = out.Slice(1, 4, 5);
      const Reference want = ReferenceLinear(part, rounded, {Act::kSilu, &to});
      ops::Linear(test.ctx, part, weight, to, {Act::kSilu, &to});
      REQUIRE_CLOSE(to, want);
      CHECK(std::isnan(Reference::Of(y.View().Slice(2, 37, 1)).v[0]));
    }
  }
}

TEST_CASE("f32 weights are used where they lie, even at odd addresses after a copy") {
  OpTest test;
  const HostTensor x = Random({3, 24}, DType::kF32, 1), w = WeightMatrix(8, 24, DType::kF32);
  HostTensor y = Poisoned({3, 8}, DType::kF32);
  const Weight weight{w.View(), {}};
  ops::Linear(test.ctx, x.View(), weight, y.View());
  CHECK(test.backend->PackedBytes() == 0);
  const Reference want = ReferenceLinear(x.View(), weight, {});
  {
    std::vector<std::byte> bytes(w.Bytes() + 1);
    std::memcpy(bytes.data() + 1, w.data(), w.Bytes());
    const Weight odd{Tensor::Contiguous(bytes.data() + 1, {8, 24}, DType::kF32), {}};
    ops::Linear(test.ctx, x.View(), odd, y.View());
    REQUIRE_CLOSE(y.View(), want);
    CHECK(test.backend->PackedBytes() > 0);
  }
  CHECK(test.backend->PackedBytes() == 0);
}

TEST_CASE("linear refuses shapes and types that do not fit") {
  OpTest test;
  HostTensor x({3, 24}, DType::kF32), y({3, 8}, DType::kF32), w({8, 23}, DType::kF32);
  CHECK_THROWS_AS(ops::Linear(test.ctx, x.View(), {w.View(), {}}, y.View()), Error);
  HostTensor good({8, 24}, DType::kF32), half({3, 8}, DType::kBF16), bias({7}, DType::kF32);
  CHECK_THROWS_AS(ops::Linear(test.ctx, x.View(), {good.View(), {}}, half.View()), Error);
  CHECK_THROWS_AS(ops::Linear(test.ctx, x.View(), {good.View(), bias.View()}, y.View()), Error);
  const Tensor residual = x.View();
  CHECK_THROWS_AS(
      ops::Linear(test.ctx, x.View(), {good.View(), {}}, y.View(), {Act::kNone, &residual}), Error);
}

}  // namespace
}  // namespace fovea
