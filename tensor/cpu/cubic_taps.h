// The four source pixels and factors of every output pixel of a bicubic resize.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace fovea {

struct CubicTap {
  std::array<int64_t, 4> index;
  std::array<float, 4> weight;
};

// Keys (1981), a = -0.75, half-pixel centres, clamped borders.
std::vector<CubicTap> CubicTaps(int64_t from, int64_t to);

}  // namespace fovea
