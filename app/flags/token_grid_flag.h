// Grids of tokens on the command line: "64x48", "16x30x52".
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace fovea {

inline constexpr int64_t kMostGridTokens = 1 << 24;

// Frames, rows, columns; one frame if there are two numbers. Throws kUsage naming the flag.
std::array<int, 3> ParseTokenGrid(const std::string& flag, const std::string& text);

}  // namespace fovea
