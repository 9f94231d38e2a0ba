// Weights by formula, so that golden files need to hold none; tools/golden/formula.py says which.
#pragma once

#include <string_view>

#include "tensor/memory/host_tensor.h"

namespace fovea {

// The tensor called `name` of a checkpoint in `dtype`: f32, f16 or bf16.
HostTensor FormulaWeight(std::string_view name, const Shape& shape, DType dtype);

}  // namespace fovea
