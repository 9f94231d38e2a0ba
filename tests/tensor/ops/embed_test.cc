#include "tensor/ops/embed.h"

#include <catch2/catch.hpp>

#include "tests/tensor/op_test.h"

namespace fovea {
namespace {

TEST_CASE("embed copies rows and converts them") {
  OpTest test;
  const HostTensor ids({2, 3}, std::vector<int32_t>{0, 4, 2, 4, 1, 3});
  for (const DType table_type : {DType::kF32, DType::kF16, DType::kBF16}) {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      const HostTensor table = Random({5, 19}, table_type, 1);
      HostTensor out = Poisoned({2, 3, 19}, dtype);
      ops::Embed(test.ctx, ids.View(), table.View(), out.View());
      Reference want({2, 3, 19});
      const Reference rows = Reference::Of(table.View());
      for (int i = 0; i < 6 * 19; ++i) {
        want.v[i] = rows.v[ids.Data<int32_t>()[i / 19] * 19 + i % 19];
      }
      const Deviation deviation = Compare(out.View(), want);
      CHECK(deviation.max <= (dtype == DType::kF32 ? 0 : 0x1p-8));
    }
  }
}

TEST_CASE("embed refuses tokens outside the vocabulary") {
  OpTest test;
  const HostTensor table({5, 4}, DType::kF32);
  HostTensor out({1, 2, 4}, DType::kF32);
  for (const int32_t bad : {-1, 5, 1 << 30}) {
    const HostTensor ids({1, 2}, std::vector<int32_t>{0, bad});
    try {
      ops::Embed(test.ctx, ids.View(), table.View(), out.View());
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.code == ErrorCode::kUsage);
      CHECK(std::string(error.what()).find(std::to_string(bad)) != std::string::npos);
    }
  }
}

}  // namespace
}  // namespace fovea
