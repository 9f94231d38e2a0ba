#include "pipelines/pictures/picture_file.h"

#include <charconv>
#include <cstdint>
#include <cstdio>

#include "pipelines/pictures/exif.h"
#include "pipelines/pictures/picture_format.h"
#include "pipelines/pictures/picture_pixels.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr int kMaxSide = 1 << 20;

[[noreturn]] void Bad(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::kBadFile, where + ": " + what);
}

}  // namespace

Image DecodePicture(std::span<const std::byte> bytes, const std::string& where) {
  if (bytes.empty()) Bad(where, "is empty; a PNG or JPEG picture was expected");
  const PictureFormat format = FormatOf(bytes);
  const bool png = format == PictureFormat::kPng;
  if (!png && format != PictureFormat::kJpeg) Bad(where, "is neither a PNG nor a JPEG picture");
  const Image image = png ? DecodePng(bytes, where) : DecodeJpeg(bytes, where);
  return Upright(image, ExifOrientation(bytes));
}

Image ReadPicture(const std::filesystem::path& path) {
  return DecodePicture(ReadPictureBytes(path), path.string());
}

std::string PictureDigest(const Image& image) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const uint8_t value : image.rgb) hash = (hash ^ value) * 0x100000001b3;
  char text[64];
  std::snprintf(text, sizeof text, "%dx%d-%016llx", image.width, image.height,
                static_cast<unsigned long long>(hash));
  return text;
}

PictureSize SizeOfDigest(const std::string& digest, const std::string& where) {
  PictureSize size;
  const char *at = digest.data(), *end = at + digest.size();
  const auto number = [&](int& value) {
    const auto [next, error] = std::from_chars(at, end, value);
    const bool good = error == std::errc() && value >= 1 && value <= kMaxSide;
    at = next;
    return good;
  };
  const auto mark = [&](char c) { return at != end && *at++ == c; };
  if (!number(size.width) || !mark('x') || !number(size.height) || !mark('-') || end - at != 16) {
    Bad(where, "\"" + digest.substr(0, 80) + "\" does not name a picture (WIDTHxHEIGHT-DIGEST)");
  }
  return size;
}

}  // namespace fovea
