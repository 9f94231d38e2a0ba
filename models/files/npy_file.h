// NumPy's .npy files: what `inspect` leaves for other programs.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace fovea {

// Version 1.0, little-endian f32, C order. `values` holds the product of `shape`. Writes over
// `path`. Throws kBadFile.
void WriteNpy(const std::filesystem::path& path, const std::vector<int64_t>& shape,
              std::span<const float> values);

}  // namespace fovea
