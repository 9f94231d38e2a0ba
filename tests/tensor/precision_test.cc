#include "tensor/precision.h"

#include <catch2/catch.hpp>

#include "tensor/machine/instruction_set.h"

namespace fovea {
namespace {

TEST_CASE("f32 is f32 everywhere, bf16 narrows weights, and values where the processor multiplies them") {
  const Precision f32 = PrecisionOf(DType::kF32);
  CHECK(f32.arithmetic == DType::kF32);
  CHECK(f32.activations == DType::kF32);
  CHECK_FALSE(f32.narrow_weights);
  const Precision bf16 = PrecisionOf(DType::kBF16);
  const bool has = UsedInstructionSet() == InstructionSet::kAvx512Bf16;
  CHECK(bf16.arithmetic == (has ? DType::kBF16 : DType::kF32));
  CHECK(bf16.activations == bf16.arithmetic);
  CHECK(bf16.narrow_weights);
  CHECK_THROWS(PrecisionOf(DType::kF16));
}

}  // namespace
}  // namespace fovea
