// Products in panels: every row's bits are its own, whatever the other rows, threads and strides.
#include "tensor/cpu/panel_product.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

#include "tensor/ops/elementwise.h"
#include "tensor/ops/product/linear.h"
#include "tests/tensor/op_test.h"

namespace fovea {
namespace {

// Rows [first, first + rows) of x in a product of their own.
std::vector<std::byte> RowsAlone(OpTest& test, const HostTensor& x, const Weight& weight,
                                 const Epilogue& epilogue, int64_t first, int64_t rows) {
  HostTensor y = Poisoned({rows, weight.Out()}, x.dtype());
  Epilogue part = epilogue;
  Tensor residual;
  if (epilogue.residual != nullptr) {
    residual = epilogue.residual->Slice(0, first, rows);
    part.residual = &residual;
  }
  ops::Linear(test.ctx, x.View().Slice(0, first, rows), weight, y.View(), part);
  const auto* bytes = static_cast<const std::byte*>(y.data());
  return {bytes, bytes + y.Bytes()};
}

struct Sizes {
  int64_t in, out;
};

TEST_CASE("a row of a product does not depend on the other rows, on their number or on threads") {
  OpTest test;
  const int before = NumThreads();
  // One block of the sum and several; odd sizes, strips that are not full, less than a vector.
  for (const Sizes& size :
       {Sizes{1, 1}, Sizes{7, 33}, Sizes{256, 64}, Sizes{257, 40}, Sizes{515, 97}}) {
    for (const DType wtype : {DType::kF32, DType::kBF16, DType::kF16}) {
      for (const DType dtype : {DType::kF32, DType::kBF16}) {
        const HostTensor x = Random({70, size.in}, dtype, 1);
        const HostTensor w = Random({size.out, size.in}, wtype, 2, 0.1f);
        const HostTensor bias = Random({size.out}, DType::kF32, 3);
        const HostTensor more = Random({70, size.out}, dtype, 4);
        const Tensor residual = more.View();
        const Weight weight{w.View(), bias.View()};
        const Epilogue epilogue{Act::kSilu, &residual};
        const size_t row_bytes = static_cast<size_t>(size.out) * SizeOf(dtype);
        for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
          hwy::SetSupportedTargetsForTest(target);
          SetNumThreads(1);
          const std::vector<std::byte> want = RowsAlone(test, x, weight, epilogue, 0, 70);
          for (const int threads : {1, 2, 3, 4}) {
            SetNumThreads(threads);
            for (int64_t rows = 1; rows <= 70; rows += threads == 1 ? 1 : 13) {
              const int64_t first = (70 - rows) / 2;
              const auto got = RowsAlone(test, x, weight, epilogue, first, rows);
              INFO(size.in << " to " << size.out << ", weights " << Name(wtype) << ", activations "
                           << Name(dtype) << ", " << hwy::TargetName(target) << ", " << threads
                           << " threads, rows " << first << "+" << rows);
              REQUIRE(std::memcmp(got.data(), want.data() + size_t(first) * row_bytes,
                                  got.size()) == 0);
            }
          }
        }
      }
    }
  }
  hwy::SetSupportedTargetsForTest(0);
  SetNumThreads(before);
}

TEST_CASE("rows beyond one block of a panel have the bits that they have alone") {
  OpTest test;
  const HostTensor x = Random({1100, 300}, DType::kF32, 1);
  const HostTensor w = Random({70, 300}, DType::kF16, 2, 0.1f);
  const Weight weight{w.View(), {}};
  ForEachTarget([&] {
    const auto all = RowsAlone(test, x, weight, {}, 0, 1100);
    for (const int64_t first : {0, 1, 479, 480, 958, 1099}) {
      const auto alone = RowsAlone(test, x, weight, {}, first, 1);
      CAPTURE(first);
      REQUIRE(std::memcmp(alone.data(), all.data() + first * 70 * 4, 70 * 4) == 0);
    }
  });
}

TEST_CASE("weights of 16 bits give the bits of the same values in 32") {
  OpTest test;
  for (const DType wtype : {DType::kBF16, DType::kF16}) {
    const HostTensor x = Random({19, 333}, DType::kF32, 1);
    const HostTensor w = Random({50, 333}, wtype, 2);
    HostTensor wide({50, 333}, DType::kF32);
    ops::Copy(test.ctx, w.View(), wide.View());
    ForEachTarget([&] {
      const auto narrow = RowsAlone(test, x, {w.View(), {}}, {}, 0, 19);
      CHECK(narrow == RowsAlone(test, x, {wide.View(), {}}, {}, 0, 19));
    });
    CHECK(test.backend->PackedBytes() == 0);
  }
}

TEST_CASE("NaN and infinity stay in their own rows and columns") {
  OpTest test;
  HostTensor x = Random({30, 40}, DType::kF32, 1), w = Random({40, 40}, DType::kF32, 2);
  x.Data<float>()[7 * 40 + 3] = NAN;
  w.Data<float>()[9 * 40 + 39] = INFINITY;
  const Weight weight{w.View(), {}};
  ForEachTarget([&] {
    HostTensor y = Poisoned({30, 40}, DType::kF32);
    ops::Linear(test.ctx, x.View(), weight, y.View());
    for (int r = 0; r < 30; ++r) {
      for (int c = 0; c < 40; ++c) {
        CAPTURE(r, c);
        const float value = y.Data<float>()[r * 40 + c];
        REQUIRE(std::isnan(value) == (r == 7));
        if (r != 7) REQUIRE(std::isinf(value) == (c == 9));
      }
    }
  });
}

TEST_CASE("how a sum is cut depends on its length alone") {
  for (const Arithmetic arithmetic : {Arithmetic::kF32, Arithmetic::kBF16}) {
    for (const int64_t in : {1, 16, 255, 256, 257, 320, 768, 5120, 10240}) {
      const PanelPlan one(1, in, 1, arithmetic, 1);
      CHECK(one.depth <= PanelPlan::kMaxSteps);
      CHECK((one.blocks - 1) * one.depth < one.steps);
      CHECK(one.steps <= one.blocks * one.depth);
      for (const int64_t rows : {2, 77, 4096}) {
        for (const int threads : {1, 2, 7, 64}) {
          const PanelPlan plan(rows, in, 640, arithmetic, threads);
          CHECK(plan.blocks == one.blocks);
          CHECK(plan.depth == one.depth);
          CHECK(plan.row_parts * plan.strip_parts <= threads);
        }
      }
    }
  }
}

}  // namespace
}  // namespace fovea
