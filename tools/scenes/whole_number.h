// Whole numbers on the command lines of the tools.
#pragma once

#include <cstdint>
#include <string>

namespace fovea::scenes {

// Throws std::invalid_argument naming the flag and the bounds.
uint64_t ParseWholeNumber(const std::string& flag, const std::string& text, uint64_t low,
                          uint64_t high);

}  // namespace fovea::scenes
