// Which types can this processor multiply matrices of? Tests ask once and say what they leave out;
// afterwards a refusal is an error like any other.
#pragma once

#include <vector>

#include "tensor/dtype.h"

namespace fovea {

// False, with a warning that names the reason, where one small product in bf16 is refused. Fails
// the test where it is refused for another reason than the processor.
bool HasBf16Products();

// f32, and bf16 where the processor has it.
std::vector<DType> ProductTypes();

}  // namespace fovea
