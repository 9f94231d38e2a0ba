#include "tensor/machine/instruction_set.h"

#include <hwy/targets.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <oneapi/dnnl/dnnl.hpp>

#include "tensor/error.h"
#include "tests/support/error_code.h"

namespace fovea {
namespace {

TEST_CASE("each lower instruction set has a name, and nothing else is one") {
  CHECK(ParseInstructionSetLimit("portable") == InstructionSet::kPortable);
  CHECK(ParseInstructionSetLimit("avx2") == InstructionSet::kAvx2);
  CHECK(ParseInstructionSetLimit("avx512") == InstructionSet::kAvx512);
  CHECK(!ParseInstructionSetLimit(nullptr));
  CHECK(!ParseInstructionSetLimit(""));
  for (const char* value : {"avx", "AVX2", "avx512_bf16", " avx2", "avx2 ", "0", "native"}) {
    INFO(value);
    CHECK(CodeOf([&] { ParseInstructionSetLimit(value); }) == ErrorCode::kUsage);
    CHECK_THROWS_WITH(ParseInstructionSetLimit(value), Catch::Contains("portable, avx2 or avx512"));
  }
}

// The switch is obeyed by this program, so each run of the suite checks the set that it is for.
TEST_CASE("FOVEA_ISA lowers Highway's kernels and oneDNN's together, and raises neither") {
  const InstructionSet used = UsedInstructionSet(), processor = ProcessorInstructionSet();
  const auto limit = ParseInstructionSetLimit(std::getenv("FOVEA_ISA"));
  CHECK(used == std::min(processor, limit.value_or(processor)));
  CHECK(InstructionSetName() == Name(used));
  const int64_t targets = hwy::SupportedTargets();
  CHECK(((targets & HWY_AVX3) != 0) == (used >= InstructionSet::kAvx512));
  CHECK(((targets & HWY_AVX2) != 0) == (used >= InstructionSet::kAvx2));
  // Each set of oneDNN's holds the bits of those below it.
  const auto holds = [](dnnl::cpu_isa set) {
    return (static_cast<int>(dnnl::get_effective_cpu_isa()) & static_cast<int>(set)) ==
           static_cast<int>(set);
  };
  CHECK(holds(dnnl::cpu_isa::avx512_core_bf16) == (used >= InstructionSet::kAvx512Bf16));
  CHECK(holds(dnnl::cpu_isa::avx512_core) == (used >= InstructionSet::kAvx512));
  CHECK(holds(dnnl::cpu_isa::avx2) == (used >= InstructionSet::kAvx2));
}

}  // namespace
}  // namespace fovea
