// The files that pictures come in: which format one is, and its bytes.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace fovea {

enum class PictureFormat {
  kNone,
  kPng,
  kJpeg,
  kWebp,
  kGif,
  kTiff,
  kBmp,
  kPsd,
  kHdr,
  kPnm,
  kTga,
  // Known by name alone: nothing here reads them.
  kAvif,
  kHeif,
  kJpegXl,
  kJpeg2000,
  kSvg,
};
// By what a file begins with: 64 bytes are enough. A TGA file begins with nothing of its own, and
// is told by a header that makes sense, where no other format is.
PictureFormat FormatOf(std::span<const std::byte> first_bytes);
std::string_view Name(PictureFormat format);  // "WebP"; of kNone "none"
bool IsRead(PictureFormat format);            // whether its pixels are
// The formats that are read: "PNG, JPEG, ...".
std::string_view ReadFormats();

// The whole file. Throws kBadFile: a folder, unreadable, or over half a gigabyte.
std::vector<std::byte> ReadPictureBytes(const std::filesystem::path& path);

}  // namespace fovea
