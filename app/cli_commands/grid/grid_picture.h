// A grid as one picture: x across, y down, z as pages below each other, with labels.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/jobs/grid_axes.h"
#include "pipelines/pictures/image.h"

namespace fovea {

struct GridCell {
  std::optional<Image> image;  // none: it failed
  std::string error;
};

struct Grid {
  GridAxis x, y, z;             // without a key: one value, no label
  std::vector<GridCell> cells;  // x fastest, then y
};

// Pixels of the whole, for cells of this size.
int64_t GridPixels(const Grid& grid, int cell_width, int cell_height);
// Throws kUnsupported where no font is installed. All cells share the largest one's size.
Image DrawGrid(const Grid& grid);

}  // namespace fovea
