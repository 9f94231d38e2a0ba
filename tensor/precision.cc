#include "tensor/precision.h"

#include <string>
#include <utility>

#include "tensor/error.h"
#include "tensor/machine/instruction_set.h"

namespace fovea {

Precision PrecisionOf(DType asked, DeviceKind device) {
  if (device == DeviceKind::kCuda) {
    ENSURE(asked == DType::kF32 || asked == DType::kBF16 || asked == DType::kF16);
    return {asked, asked, false};
  }
  ENSURE(asked == DType::kF32 || asked == DType::kBF16, std::string(Name(asked)));
  Precision precision;
  precision.narrow_weights = asked == DType::kBF16;
  if (asked == DType::kBF16 && UsedInstructionSet() == InstructionSet::kAvx512Bf16) {
    precision.arithmetic = precision.activations = DType::kBF16;
  }
  return precision;
}

Context MakeContext(Backend& backend, Arena& arena, std::stop_token stop, DType asked) {
  const Precision precision = PrecisionOf(asked, backend.Kind());
  return {backend, arena, std::move(stop), precision.activations, precision.narrow_weights};
}

}  // namespace fovea
