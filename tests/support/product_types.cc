#include "tests/support/product_types.h"

#include <catch2/catch.hpp>

#include "tensor/context.h"
#include "tensor/host_tensor.h"

namespace fovea {

bool HasBf16Products() {
  const auto backend = MakeCpuBackend();
  Arena arena(*backend, size_t{1} << 20);
  Context ctx{*backend, arena};
  HostTensor x({1, 1}, DType::kBF16), w({1, 1}, DType::kBF16), y({1, 1}, DType::kBF16);
  try {
    backend->Linear(ctx, x.View(), {w.View(), {}}, {}, y.View());
  } catch (const Error& error) {
    REQUIRE(error.code == ErrorCode::kUnsupported);
    WARN("left out: bf16 (" << error.what() << ")");
    return false;
  }
  return true;
}

std::vector<DType> ProductTypes() {
  if (!HasBf16Products()) return {DType::kF32};
  return {DType::kF32, DType::kBF16};
}

}  // namespace fovea
