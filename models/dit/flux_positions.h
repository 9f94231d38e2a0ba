// FLUX's positions: three numbers a token, each of which turns some channels of every head.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "tensor/memory/host_tensor.h"

namespace fovea {

// The pipeline's: (0, row, column) of a grid, row-major; rows of 3.
std::vector<float> FluxGridIds(int64_t h, int64_t w);
// Whether the ids are those of the tokens of an h x w grid, row-major: the first number is the same
// for all, the second for a row, the third for a column.
bool IsFluxGrid(std::span<const float> ids, int64_t h, int64_t w);
// The grid whose ids these are; none: they are of no grid.
std::optional<std::pair<int64_t, int64_t>> FluxGridOf(std::span<const float> ids);
// Tables (t,2,d) as ops::Rotate takes them, d = sum of `axes`; angles in double, base 10000 * ntk.
HostTensor FluxRotation(std::span<const float> ids, const std::array<int64_t, 3>& axes, double ntk);

}  // namespace fovea
