// The attention of a grid that was resized before and back after: window(odd=resample).
#pragma once

#include <array>
#include <memory>

#include "attention/matrix/attention_matrix.h"

namespace fovea {

// `inner` is of a grid of `resized` rows and columns, the result of one of `own`: rows and keys are
// mixed by the bicubic weights of kernels/resize_grid.h. Weights may be negative; rows still sum
// to 1.
std::unique_ptr<AttentionMatrix> ResampledMatrix(std::unique_ptr<AttentionMatrix> inner,
                                                 const std::array<int, 2>& own,
                                                 const std::array<int, 2>& resized);

}  // namespace fovea
