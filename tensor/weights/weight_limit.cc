#include "tensor/weights/weight_limit.h"

#include <string>

#include "tensor/error.h"

namespace fovea {

std::optional<size_t> WeightLimit(size_t memory, size_t fixed, const Cost& cost) {
  if (fixed + cost.packed_bytes + cost.in_place_bytes <= memory) return std::nullopt;
  const size_t least = fixed + cost.largest_weight;
  if (least > memory) {
    throw Error(ErrorCode::kOutOfMemory,
                "max-memory: " + std::to_string(memory) + " bytes are too few for this run; " +
                    std::to_string(least) + " would do, for its activations and one layer's " +
                    "weights at a time");
  }
  return memory - least;
}

}  // namespace fovea
