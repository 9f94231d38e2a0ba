// How many bytes of weights may stay in memory, so that a run keeps within what it is given.
#pragma once

#include <cstddef>
#include <optional>

#include "tensor/backend.h"

namespace fovea {

// For Backend::LimitWeights. `memory`: the budget in bytes. `fixed`: bytes used by everything
// except weights. `cost`: from a dry run. Nothing if all weights fit. Throws kOutOfMemory if not
// even the largest weight fits; the message says how much would do.
std::optional<size_t> WeightLimit(size_t memory, size_t fixed, const Cost& cost);

}  // namespace fovea
