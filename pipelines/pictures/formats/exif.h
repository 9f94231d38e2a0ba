// The Exif data of PNG, JPEG, WebP and TIFF files: how a camera was held, and the comment in which
// A1111's web UI keeps its settings where a file has no text chunks.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "pipelines/pictures/image.h"

namespace fovea {

// 1 to 8 as Exif counts; 1 (upright) where the file says nothing or nonsense. Pure; fuzzed.
int ExifOrientation(std::span<const std::byte> file);
// The user's comment; empty where there is none. UTF-8 where the file says that it is Unicode, else
// its bytes as they are. Pure; fuzzed.
std::string ExifUserComment(std::span<const std::byte> file);
// The picture as it is meant to be seen; orientations 5 to 8 exchange its sides.
Image Upright(const Image& image, int orientation);

}  // namespace fovea
