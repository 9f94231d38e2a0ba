// The texts of a picture of any kind that keeps settings: PNG, JPEG, WebP.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "pipelines/pictures/formats/png_file.h"

namespace fovea {

// The text chunks of a PNG; of a JPEG or WebP the Exif comment, as "parameters". Throws kBadFile.
// The second form is pure and fuzzed.
PngText ReadPictureText(const std::filesystem::path& path);
PngText ParsePictureText(std::span<const std::byte> bytes, const std::string& where);

}  // namespace fovea
