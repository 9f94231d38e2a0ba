// A grid as a table: what each cell took, and how far it is from the first of its row.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/cli_commands/grid/grid_picture.h"

namespace fovea {

struct CellNumbers {
  std::optional<uint64_t> seed;
  std::string file;                                // empty: not kept
  std::optional<double> seconds, denoise_seconds;  // loading left out; none: it was there already
  double peak_memory_mb = 0, gflop = 0;
};

struct PictureDifference {
  double psnr_db = 0;  // infinity: equal
  int max_abs = 0;
  double mean_abs = 0;
};
// Over all RGB values; none where sizes differ.
std::optional<PictureDifference> Compare(const Image& picture, const Image& reference);

// RFC 4180: the axes' keys, then seed file seconds denoise_seconds peak_memory_mb gflop psnr_db
// max_abs mean_abs error. `numbers` are in the order of the cells.
std::string GridTable(const Grid& grid, const std::vector<CellNumbers>& numbers);

}  // namespace fovea
