// The seed of a run that was given none.
#pragma once

#include <cstdint>

namespace fovea {

// 32 bits, from the system's source of randomness: easy to type, and safe in every JSON reader.
uint64_t RandomSeed();

}  // namespace fovea
