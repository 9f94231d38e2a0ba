// How a camera was held: the orientation that PNG and JPEG files keep in their Exif data.
#pragma once

#include <cstddef>
#include <span>

#include "pipelines/image.h"

namespace fovea {

// 1 to 8 as Exif counts; 1 (upright) where the file says nothing or nonsense. Pure; fuzzed.
int ExifOrientation(std::span<const std::byte> file);
// The picture as it is meant to be seen; orientations 5 to 8 exchange its sides.
Image Upright(const Image& image, int orientation);

}  // namespace fovea
