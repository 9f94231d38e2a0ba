#include "tensor/ops/elementwise.h"

#include <catch2/catch.hpp>

#include "tests/tensor/op_test.h"

namespace fovea {
namespace {

TEST_CASE("add sums dense and strided tensors, also in place") {
  OpTest test;
  ForEachTarget([&] {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const Shape& shape : {Shape{1}, Shape{3, 5}, Shape{2, 7, 9, 33}, Shape{2, 40, 320}}) {
        HostTensor a = Random(shape, dtype, 1), b = Random(shape, dtype, 2);
        const Reference want = ReferenceAdd(a.View(), b.View());
        HostTensor out = Poisoned(shape, dtype);
        ops::Add(test.ctx, a.View(), b.View(), out.View());
        REQUIRE_CLOSE(out.View(), want);
        ops::Add(test.ctx, a.View(), b.View(), b.View());
        REQUIRE_CLOSE(b.View(), want);
      }
      HostTensor wide = Random({2, 5, 40}, dtype, 3);
      const Tensor left = wide.View().Slice(2, 0, 17), right = wide.View().Slice(2, 20, 17);
      const Reference want = ReferenceAdd(left, right);
      HostTensor out = Poisoned({2, 5, 40}, dtype);
      ops::Add(test.ctx, left, right, out.View().Slice(2, 9, 17));
      REQUIRE_CLOSE(out.View().Slice(2, 9, 17), want);
      // Neighbours stay untouched.
      CHECK(static_cast<unsigned char*>(out.View().Slice(2, 26, 1).data)[0] == 0xff);
    }
  });
}

TEST_CASE("a gated sum has a gate for each sample") {
  OpTest test;
  ForEachTarget([&] {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const Shape& shape :
           {Shape{1, 1, 1}, Shape{3, 5, 7}, Shape{2, 9, 33}, Shape{2, 40, 320}}) {
        const int64_t n = shape[0], c = shape[2];
        const HostTensor rows = Random({n, 3 * c}, dtype, 5);
        const HostTensor wide = Random({n, shape[1] + 2, c + 9}, dtype, 6);
        const Tensor gate = rows.View().Slice(1, c, c);
        const Tensor x = wide.View().Slice(1, 1, shape[1]).Slice(2, 4, c);
        HostTensor out = Random({n, shape[1] + 1, c}, dtype, 7);
        const Tensor part = out.View().Slice(1, 1, shape[1]);
        const Reference want = ReferenceGatedAdd(x, gate, part);
        ops::GatedAdd(test.ctx, x, gate, part);
        REQUIRE_CLOSE(part, want);
      }
    }
  });
  HostTensor x({2, 3, 8}, DType::kF32), gate({1, 8}, DType::kF32);
  CHECK_THROWS_AS(ops::GatedAdd(test.ctx, x.View(), gate.View(), x.View()), Error);
}

TEST_CASE("copy converts among the float types through any strides") {
  OpTest test;
  ForEachTarget([&] {
    for (const DType from : {DType::kF32, DType::kBF16, DType::kF16}) {
      for (const DType to : {DType::kF32, DType::kBF16, DType::kF16}) {
        HostTensor x = Random({2, 5, 6, 37}, from, 4);
        // What the destination can hold, by the scalar conversions.
        const auto rounded = [&](const Tensor& t) {
          Reference r = Reference::Of(t);
          for (double& v : r.v) {
            const float f = static_cast<float>(v);
            if (to == DType::kBF16) v = ToFloat(ToBFloat16(f));
            if (to == DType::kF16) v = ToFloat(ToFloat16(f));
          }
          return r;
        };
        const Tensor views[] = {x.View(), x.View().Permute({0, 3, 1, 2}), x.View().Slice(3, 3, 30),
                                x.View().Slice(1, 1, 3)};
        for (const Tensor& view : views) {
          HostTensor out = Poisoned(view.shape, to);
          ops::Copy(test.ctx, view, out.View());
          REQUIRE(Compare(out.View(), rounded(view)).max == 0);
        }
        HostTensor back = Poisoned({2, 37, 5, 6}, to);
        ops::Copy(test.ctx, x.View(), back.View().Permute({0, 2, 3, 1}));
        REQUIRE(Compare(back.View().Permute({0, 2, 3, 1}), rounded(x.View())).max == 0);
      }
    }
  });
}

TEST_CASE("copy moves integers and refuses to convert them") {
  OpTest test;
  HostTensor x({3}, std::vector<int64_t>{1, -5, int64_t{1} << 40}), y({3}, DType::kI64);
  ops::Copy(test.ctx, x.View(), y.View());
  CHECK(y.Data<int64_t>()[2] == int64_t{1} << 40);
  HostTensor f({3}, DType::kF32);
  CHECK_THROWS_AS(ops::Copy(test.ctx, x.View(), f.View()), Error);
  HostTensor shorter({2}, DType::kI64);
  CHECK_THROWS_AS(ops::Copy(test.ctx, x.View(), shorter.View()), Error);
}

}  // namespace
}  // namespace fovea
