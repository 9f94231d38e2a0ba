// Philox4x32-10: 128 random bits as a pure function of a counter and a key.
//
// Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011).
#pragma once

#include <array>
#include <cstdint>

namespace fovea {

using PhiloxBlock = std::array<uint32_t, 4>;

PhiloxBlock Philox4x32(PhiloxBlock counter, std::array<uint32_t, 2> key);

}  // namespace fovea
