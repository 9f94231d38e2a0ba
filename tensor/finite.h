// Whether numbers are numbers: no NaN and no infinity among them.
#pragma once

#include <span>

#include "tensor/tensor.h"

namespace fovea {

bool AllFinite(std::span<const float> values);
// A contiguous tensor on the host; whole numbers always are.
bool AllFinite(const Tensor& values);

}  // namespace fovea
