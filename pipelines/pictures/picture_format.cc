#include "pipelines/pictures/picture_format.h"

#include <string>
#include <string_view>

#include "models/files/text_file.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 29;

struct Signature {
  std::string_view text;
  PictureFormat format;
  size_t at = 0;
};

constexpr Signature kSignatures[] = {
    {"\x89PNG\r\n\x1a\n", PictureFormat::kPng},
    {"\xff\xd8\xff", PictureFormat::kJpeg},
    {"GIF87a", PictureFormat::kGif},
    {"GIF89a", PictureFormat::kGif},
    {{"II*\0", 4}, PictureFormat::kTiff},
    {{"MM\0*", 4}, PictureFormat::kTiff},
    {{"II+\0", 4}, PictureFormat::kTiff},
    {{"MM\0+", 4}, PictureFormat::kTiff},
    {"BM", PictureFormat::kBmp},
    {"8BPS", PictureFormat::kPsd},
    {"#?RADIANCE\n", PictureFormat::kHdr},
    {"#?RGBE\n", PictureFormat::kHdr},
    {"ftypavif", PictureFormat::kAvif, 4},
    {"ftypavis", PictureFormat::kAvif, 4},
    {"ftyphei", PictureFormat::kHeif, 4},
    {"ftypmif1", PictureFormat::kHeif, 4},
    {"\xff\x0a", PictureFormat::kJpegXl},
    {{"\0\0\0\x0cJXL ", 8}, PictureFormat::kJpegXl},
    {{"\0\0\0\x0cjP  ", 8}, PictureFormat::kJpeg2000},
    {"<svg", PictureFormat::kSvg},
};

// Colour map, kind, bits of a pixel: what the format allows, and a size.
bool IsTgaHeader(std::string_view bytes) {
  if (bytes.size() < 18) return false;
  const auto at = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const int kind = at(2) & 7, bits = at(16);
  const bool mapped = at(1) == 1;
  const bool known = (at(2) & ~8) >= 1 && (at(2) & ~8) <= 3;
  const bool fits = mapped
                        ? kind == 1 && bits == 8
                        : at(1) == 0 && (kind == 2 || kind == 3) &&
                              (bits == 8 || bits == 15 || bits == 16 || bits == 24 || bits == 32);
  return known && fits && (at(12) | at(13)) != 0 && (at(14) | at(15)) != 0;
}

}  // namespace

PictureFormat FormatOf(std::span<const std::byte> first_bytes) {
  const std::string_view bytes(reinterpret_cast<const char*>(first_bytes.data()),
                               first_bytes.size());
  if (bytes.starts_with("RIFF") && bytes.size() >= 12 && bytes.substr(8, 4) == "WEBP") {
    return PictureFormat::kWebp;
  }
  for (const Signature& each : kSignatures) {
    if (bytes.size() >= each.at && bytes.substr(each.at).starts_with(each.text)) {
      return each.format;
    }
  }
  // P5 and P6 are the binary grey and colour pictures; the others are texts.
  if (bytes.size() > 2 && bytes[0] == 'P' && (bytes[1] == '5' || bytes[1] == '6') &&
      std::string_view(" \t\r\n#").find(bytes[2]) != std::string_view::npos) {
    return PictureFormat::kPnm;
  }
  return IsTgaHeader(bytes) ? PictureFormat::kTga : PictureFormat::kNone;
}

std::string_view Name(PictureFormat format) {
  constexpr std::string_view kNames[] = {"none", "PNG",     "JPEG",      "WebP", "GIF", "TIFF",
                                         "BMP",  "PSD",     "HDR",       "PNM",  "TGA", "AVIF",
                                         "HEIF", "JPEG XL", "JPEG 2000", "SVG"};
  return kNames[static_cast<size_t>(format)];
}

bool IsRead(PictureFormat format) {
  return format != PictureFormat::kNone && format < PictureFormat::kAvif;
}

std::string_view ReadFormats() {
  return "PNG, JPEG, WebP, GIF, TIFF, BMP, PSD, HDR, PNM and TGA";
}

std::vector<std::byte> ReadPictureBytes(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    throw Error(ErrorCode::kBadFile, path.string() + ": is a folder; a picture was expected");
  }
  const std::string bytes = ReadTextFile(path, kMaxFileBytes);
  const auto* first = reinterpret_cast<const std::byte*>(bytes.data());
  return {first, first + bytes.size()};
}

}  // namespace fovea
