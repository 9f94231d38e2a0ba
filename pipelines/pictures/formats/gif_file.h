// Animated GIFs. giflib stays behind this file.
#pragma once

#include <filesystem>
#include <vector>

#include "pipelines/pictures/image.h"

namespace fovea {

// Frames of one size, in an endless loop; `hundredths` of a second each. One palette of 256 colours
// for all frames, by median cut. Writes over `path`. Throws kBadFile.
void WriteGif(const std::filesystem::path& path, const std::vector<Image>& frames, int hundredths);

}  // namespace fovea
