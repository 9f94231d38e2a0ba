// Weights under a limit: results, and what is held when.
#include "tensor/cpu/weight_packs.h"

#include <catch2/catch.hpp>
#include <limits>
#include <vector>

#include "tensor/ops/product/linear.h"
#include "tests/tensor/op_test.h"

namespace fovea {
namespace {

TEST_CASE("weights under a limit are packed again and give the same results") {
  OpTest test;
  constexpr int64_t kWidth = 96;
  const size_t one = static_cast<size_t>(kWidth * kWidth) * sizeof(BFloat16);
  std::vector<HostTensor> matrices;
  std::vector<Weight> weights;
  for (int i = 0; i < 5; ++i) {
    // f32 weights for bf16 activations are held in bf16.
    matrices.push_back(Random({kWidth, kWidth}, DType::kF32, static_cast<uint32_t>(i + 1)));
  }
  for (const HostTensor& matrix : matrices) weights.push_back({matrix.View(), {}});
  const HostTensor x = Random({7, kWidth}, DType::kBF16, 9);
  const auto run = [&](const std::function<void()>& after_each) {
    std::vector<std::vector<double>> results;
    for (const Weight& weight : weights) {
      HostTensor y = Poisoned({7, kWidth}, DType::kBF16);
      ops::Linear(test.ctx, x.View(), weight, y.View());
      results.push_back(Reference::Of(y.View()).v);
      after_each();
    }
    return results;
  };
  const auto want = run([] {});
  Backend& backend = test.ctx.backend;
  const size_t all = backend.PackedBytes();
  REQUIRE(all >= 5 * one);
  const size_t each = all / 5;

  for (const size_t kept : {size_t{0}, size_t{2}, size_t{4}}) {
    CAPTURE(kept);
    for (Weight& weight : weights) weight.packed->reset();
    backend.LimitWeights(kept * each);
    for (int round = 0; round < 3; ++round) {
      size_t most = 0;
      CHECK(run([&] { most = std::max(most, backend.PackedBytes()); }) == want);
      CHECK(most == (kept + 1) * each);
    }
    backend.EndStage();
    CHECK(backend.PackedBytes() == 0);
  }
  backend.LimitWeights(std::numeric_limits<size_t>::max());
  CHECK(run([] {}) == want);
  CHECK(backend.PackedBytes() == all);
}

}  // namespace
}  // namespace fovea
