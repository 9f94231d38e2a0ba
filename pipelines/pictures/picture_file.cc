#include "pipelines/pictures/picture_file.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>

#include "models/files/foreign_file.h"
#include "pipelines/pictures/formats/exif.h"
#include "pipelines/pictures/picture_format.h"
#include "pipelines/pictures/picture_pixels.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr int kMaxSide = 1 << 20;

[[noreturn]] void Bad(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::kBadFile, where + ": " + what);
}

DecodedPicture Decode(std::span<const std::byte> bytes, const std::string& where) {
  if (bytes.empty()) Bad(where, "is empty; a picture was expected");
  const PictureFormat format = FormatOf(bytes);
  switch (format) {
    case PictureFormat::kPng:
      return DecodePng(bytes, where);
    case PictureFormat::kJpeg:
      return DecodeJpeg(bytes, where);
    case PictureFormat::kWebp:
      return DecodeWebp(bytes, where);
    case PictureFormat::kGif:
      return DecodeGif(bytes, where);
    case PictureFormat::kTiff:
      return DecodeTiff(bytes, where);
    case PictureFormat::kBmp:
    case PictureFormat::kPsd:
    case PictureFormat::kHdr:
    case PictureFormat::kPnm:
    case PictureFormat::kTga:
      return DecodeWithStb(bytes, where);
    default:
      break;
  }
  const std::string formats(ReadFormats());
  if (format != PictureFormat::kNone) {
    throw Error(ErrorCode::kUnsupported, where + ": is a picture of the format " +
                                             std::string(Name(format)) +
                                             ", which is not read; save it as one of " + formats);
  }
  const auto other = TellForeignFile(bytes);
  Bad(where, other ? other->what : "is no picture of a format that is read: " + formats);
}

}  // namespace

Image DecodePicture(std::span<const std::byte> bytes, const std::string& where) {
  return Upright(Decode(bytes, where).image, ExifOrientation(bytes));
}

Image ReadPicture(const std::filesystem::path& path) {
  return DecodePicture(ReadPictureBytes(path), path.string());
}

MaskPicture DecodeMask(std::span<const std::byte> bytes, const std::string& where) {
  DecodedPicture decoded = Decode(bytes, where);
  std::vector<uint8_t>& rgb = decoded.image.rgb;
  const std::vector<uint8_t>& alpha = decoded.alpha;
  MaskPicture mask;
  const bool one_color = std::equal(rgb.begin() + 3, rgb.end(), rgb.begin());
  mask.from_alpha =
      one_color && !alpha.empty() &&
      std::any_of(alpha.begin(), alpha.end(), [&](uint8_t each) { return each != alpha.front(); });
  if (mask.from_alpha) {
    for (size_t i = 0; i < rgb.size(); ++i) rgb[i] = alpha[i / 3];
  }
  mask.image = Upright(decoded.image, ExifOrientation(bytes));
  return mask;
}

MaskPicture ReadMask(const std::filesystem::path& path) {
  return DecodeMask(ReadPictureBytes(path), path.string());
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
