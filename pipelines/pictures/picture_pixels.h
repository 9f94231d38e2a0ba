// The pixels of picture files in memory, one function a library; picture_file.h says how they are
// read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "pipelines/pictures/image.h"

namespace fovea {

struct DecodedPicture {
  Image image;                 // the colours, those beneath transparency, too
  std::vector<uint8_t> alpha;  // one a pixel, 255 opaque; empty: all of them are
};

// All throw kBadFile, `where` named, for broken files, cut ones included, and for more than
// kMaxPicturePixels. Nothing of that size is claimed before the file's own size is known to be
// small enough.
DecodedPicture DecodePng(std::span<const std::byte> bytes, const std::string& where);
DecodedPicture DecodeJpeg(std::span<const std::byte> bytes, const std::string& where);
DecodedPicture DecodeWebp(std::span<const std::byte> bytes, const std::string& where);
DecodedPicture DecodeGif(std::span<const std::byte> bytes, const std::string& where);
DecodedPicture DecodeTiff(std::span<const std::byte> bytes, const std::string& where);
// BMP, TGA, PSD, PNM and HDR.
DecodedPicture DecodeWithStb(std::span<const std::byte> bytes, const std::string& where);

constexpr int64_t kMaxPicturePixels = int64_t{1} << 26;  // 8192x8192; more than models can take
void CheckPictureSize(int64_t width, int64_t height, const std::string& where);

// Of rows of red, green, blue and alpha; where all pixels are opaque, without alpha.
DecodedPicture FromRgba(const uint8_t* rgba, int width, int height);

}  // namespace fovea
