#include "tensor/machine/instruction_set.h"

#include <hwy/targets.h>

#include <algorithm>
#include <cstdlib>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>

#include "tensor/error.h"

namespace fovea {
namespace {

constexpr InstructionSet kLimits[] = {InstructionSet::kPortable, InstructionSet::kAvx2,
                                      InstructionSet::kAvx512};

// Highway's better targets have lower bits.
int64_t TargetsAbove(InstructionSet set) {
  switch (set) {
    case InstructionSet::kPortable:
      return 2 * HWY_AVX2 - 1;
    case InstructionSet::kAvx2:
      return HWY_AVX2 - 1;
    case InstructionSet::kAvx512:
      return HWY_AVX3_DL - 1;
    case InstructionSet::kAvx512Bf16:
      break;
  }
  return 0;
}

dnnl::cpu_isa OneDnnName(InstructionSet set) {
  switch (set) {
    case InstructionSet::kPortable:
      return dnnl::cpu_isa::sse41;
    case InstructionSet::kAvx2:
      return dnnl::cpu_isa::avx2;
    case InstructionSet::kAvx512:
      return dnnl::cpu_isa::avx512_core;
    case InstructionSet::kAvx512Bf16:
      break;
  }
  return static_cast<dnnl::cpu_isa>(0);  // no limit: `all` in oneDNN 2, `isa_default` in 3
}

InstructionSet Lower(const char* limit) {
  const InstructionSet processor = ProcessorInstructionSet();
  const auto set = std::min(processor, ParseInstructionSetLimit(limit).value_or(processor));
  // A set that is not lowered is left to the libraries: what we set would replace their own limits.
  if (set == processor) return set;
  hwy::DisableTargets(TargetsAbove(set));
  const dnnl::status status = dnnl::set_max_cpu_isa(OneDnnName(set));
  ENSURE(status == dnnl::status::success, "oneDNN was used before its instruction set was chosen");
  return set;
}

}  // namespace

std::string_view Name(InstructionSet set) {
  switch (set) {
    case InstructionSet::kPortable:
      return "portable";
    case InstructionSet::kAvx2:
      return "avx2";
    case InstructionSet::kAvx512:
      return "avx512";
    case InstructionSet::kAvx512Bf16:
      return "avx512_bf16";
  }
  return "";
}

InstructionSet ProcessorInstructionSet() {
  // Asked once, before anything is lowered.
  static const InstructionSet set = [] {
    const int64_t targets = hwy::SupportedTargets();
    if ((targets & HWY_AVX3) != 0) {
      return __builtin_cpu_supports("avx512bf16") ? InstructionSet::kAvx512Bf16
                                                  : InstructionSet::kAvx512;
    }
    return (targets & HWY_AVX2) != 0 ? InstructionSet::kAvx2 : InstructionSet::kPortable;
  }();
  return set;
}

std::optional<InstructionSet> ParseInstructionSetLimit(const char* value) {
  if (value == nullptr || *value == '\0') return std::nullopt;
  for (const InstructionSet limit : kLimits) {
    if (Name(limit) == value) return limit;
  }
  throw Error(ErrorCode::kUsage, "FOVEA_ISA=" + std::string(value) +
                                     ": no instruction set; use portable, avx2 or avx512");
}

InstructionSet UsedInstructionSet() {
  static const InstructionSet set = Lower(std::getenv("FOVEA_ISA"));
  return set;
}

std::string_view InstructionSetName() {
  return Name(UsedInstructionSet());
}

}  // namespace fovea
