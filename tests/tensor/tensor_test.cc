#include "tensor/tensor.h"

#include <catch2/catch.hpp>
#include <numeric>
#include <vector>

#include "tensor/memory/host_tensor.h"

namespace fovea {
namespace {

HostTensor Counting(const Shape& shape) {
  HostTensor t(shape, DType::kI32);
  std::iota(t.Data<int32_t>(), t.Data<int32_t>() + t.NumElements(), 0);
  return t;
}

// The elements of an i32 view in row-major order.
std::vector<int32_t> Elements(const Tensor& t) {
  std::vector<int32_t> values;
  for (int64_t i = 0; i < t.NumElements(); ++i) {
    int64_t rest = i, offset = 0;
    for (int axis = t.shape.rank - 1; axis >= 0; --axis) {
      offset += rest % t.shape.dim[axis] * t.stride[axis];
      rest /= t.shape.dim[axis];
    }
    values.push_back(t.Data<int32_t>()[offset]);
  }
  return values;
}

TEST_CASE("shapes compare, count and print their axes") {
  CHECK(Shape({2, 77, 768}).ToString() == "[2, 77, 768]");
  CHECK(Shape({}).NumElements() == 1);
  CHECK(Shape({3, 0, 5}).NumElements() == 0);
  CHECK(Shape({2, 3}) == Shape({2, 3}));
  CHECK_FALSE(Shape({2, 3}) == Shape({2, 3, 1}));
  CHECK(Shape({2, 3, 4})[-1] == 4);
  CHECK_THROWS_AS(Shape({1, 1, 1, 1, 1, 1}), Error);
}

TEST_CASE("slices and permutations view the same elements") {
  const HostTensor t = Counting({2, 3, 4});
  CHECK(Elements(t.View().Slice(1, 1, 2)) ==
        std::vector<int32_t>{4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 19, 20, 21, 22, 23});
  CHECK(Elements(t.View().Slice(-1, 3, 1)) == std::vector<int32_t>{3, 7, 11, 15, 19, 23});
  CHECK(Elements(t.View().Permute({2, 0, 1}).Slice(0, 1, 1)) ==
        std::vector<int32_t>{1, 5, 9, 13, 17, 21});
  CHECK(t.View().Slice(1, 3, 0).NumElements() == 0);
  CHECK_THROWS_AS(t.View().Slice(1, 2, 2), Error);
  CHECK_THROWS_AS(t.View().Slice(3, 0, 1), Error);
  CHECK_THROWS_AS(t.View().Slice(0, -1, 1), Error);
  CHECK_THROWS_AS(t.View().Permute({0, 0, 1}), Error);
  CHECK_THROWS_AS(t.View().Permute({0, 1}), Error);
}

TEST_CASE("contiguity ignores axes of length one") {
  const HostTensor t = Counting({2, 1, 4});
  CHECK(t.View().IsContiguous());
  CHECK(t.View().Permute({1, 0, 2}).IsContiguous());
  CHECK_FALSE(t.View().Permute({2, 1, 0}).IsContiguous());
  CHECK(t.View().Slice(0, 1, 1).IsContiguous());
  CHECK_FALSE(t.View().Slice(2, 0, 2).IsContiguous());
}

TEST_CASE("reshape keeps the order of elements or refuses") {
  const HostTensor t = Counting({2, 3, 4});
  const std::vector<int32_t> all = Elements(t.View());
  for (const Shape& shape : {Shape{24}, Shape{6, 4}, Shape{2, 12}, Shape{1, 4, 1, 6, 1},
                             Shape{2, 3, 2, 2}, Shape{1, 24}}) {
    INFO(shape.ToString());
    CHECK(Elements(t.View().Reshape(shape)) == all);
  }
  CHECK_THROWS_AS(t.View().Reshape({5, 5}), Error);

  // Splitting an axis and merging dense axes of a strided view.
  const Tensor columns = t.View().Slice(2, 0, 2);  // (2, 3, 2) of rows of 4
  CHECK(Elements(columns.Reshape({6, 2})) == Elements(columns));
  CHECK(Elements(columns.Reshape({2, 3, 1, 2})) == Elements(columns));
  CHECK_THROWS_AS(columns.Reshape({12}), Error);
  CHECK_THROWS_AS(columns.Reshape({2, 6}), Error);
  const Tensor turned = t.View().Permute({2, 0, 1});  // (4, 2, 3)
  CHECK(Elements(turned.Reshape({2, 2, 6})) == Elements(turned));
  CHECK_THROWS_AS(turned.Reshape({8, 3}), Error);
  CHECK(Counting({1, 1}).View().Reshape({}).NumElements() == 1);
  CHECK(t.View().Slice(0, 0, 0).Reshape({0, 7}).NumElements() == 0);
}

TEST_CASE("typed access checks the type") {
  const HostTensor t = Counting({2});
  CHECK_THROWS_AS(t.View().Data<float>(), Error);
  CHECK(t.View().Data<int32_t>()[1] == 1);
}

TEST_CASE("host tensors are aligned, zeroed and copied whole") {
  const HostTensor zero({3, 5}, DType::kF32);
  CHECK(reinterpret_cast<uintptr_t>(zero.data()) % 64 == 0);
  for (int i = 0; i < 15; ++i) CHECK(zero.Data<float>()[i] == 0);
  HostTensor a({2}, std::vector<double>{1.5, 1 + 0x1p-40});
  HostTensor b = a;
  a.Data<double>()[0] = 7;
  CHECK(b.Data<double>()[0] == 1.5);
  CHECK(b.ToF32().Data<float>()[1] == 1.0f);
  CHECK(HostTensor({1}, std::vector<int64_t>{-3}).ToF32().Data<float>()[0] == -3.0f);
  CHECK_THROWS_AS(HostTensor({1}, DType::kBool).ToF32(), Error);
  CHECK_THROWS_AS(HostTensor({3}, std::vector<float>{1}), Error);
}

}  // namespace
}  // namespace fovea
