// How many bytes of weights may stay in memory, so that a run keeps within what it is given.
#pragma once

#include <cstddef>
#include <optional>

#include "tensor/backend.h"

namespace fovea {

// For Backend::LimitWeights: of `memory` bytes, `fixed` are taken by all but the weights, which
// `cost` of a dry run tells. Nothing if all weights fit. Throws kOutOfMemory telling the least that
// would do: room for the largest weight.
std::optional<size_t> WeightLimit(size_t memory, size_t fixed, const Cost& cost);

}  // namespace fovea
