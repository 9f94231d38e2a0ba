// Pictures that people give us: files of many formats (picture_format.h), read as 8-bit RGB.
//
// As diffusers' load_image reads them with Pillow: turned upright as their Exif data say, grey and
// palettes widened to RGB, transparency dropped (the colours beneath it count), inks (CMYK) mixed,
// colour profiles and gamma ignored. Of 16 bits the upper 8 are kept; greys of 16 bits, too, which
// Pillow cuts to white. Of animations the first frame counts; HDR's light is mapped to 8 bits with
// gamma 2.2.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "pipelines/pictures/image.h"

namespace fovea {

// Throws kBadFile, and kUnsupported naming a format that is known and not read.
Image ReadPicture(const std::filesystem::path& path);
// The same from memory; `where` names the file in messages. Pure; fuzzed.
Image DecodePicture(std::span<const std::byte> bytes, const std::string& where);

// A mask: its colours, or, where all of them are the same and its transparency is not, what is
// opaque as white. Throws as ReadPicture.
struct MaskPicture {
  Image image;
  bool from_alpha = false;
};
MaskPicture ReadMask(const std::filesystem::path& path);
MaskPicture DecodeMask(std::span<const std::byte> bytes, const std::string& where);

// Tells a picture by its pixels, not by its file: "640x480-0123456789abcdef". Pictures store it
// instead of a path.
std::string PictureDigest(const Image& image);
struct PictureSize {
  int width = 0, height = 0;
};
// Of a digest; throws kBadFile, `where` named, when the text is none.
PictureSize SizeOfDigest(const std::string& digest, const std::string& where);

}  // namespace fovea
