// The pixels of PNG and JPEG files in memory; picture_file.h says how they are read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "pipelines/pictures/image.h"

namespace fovea {

// Both throw kBadFile, `where` named, for broken files, cut ones included, and for more than
// kMaxPicturePixels. Nothing of that size is claimed before the file's own size is known to be
// small enough.
Image DecodePng(std::span<const std::byte> bytes, const std::string& where);
Image DecodeJpeg(std::span<const std::byte> bytes, const std::string& where);

constexpr int64_t kMaxPicturePixels = int64_t{1} << 26;  // 8192x8192; more than models can take
void CheckPictureSize(int64_t width, int64_t height, const std::string& where);

}  // namespace fovea
