#include "pipelines/exif.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace fovea {
namespace {

using Bytes = std::span<const std::byte>;

// Reads past the end give nothing; so no place of the file needs to be trusted.
std::optional<uint32_t> Read(Bytes bytes, size_t at, size_t size, bool little) {
  if (at > bytes.size() || bytes.size() - at < size) return std::nullopt;
  uint32_t value = 0;
  for (size_t i = 0; i < size; ++i) {
    const size_t place = at + (little ? size - 1 - i : i);
    value = value << 8 | std::to_integer<uint32_t>(bytes[place]);
  }
  return value;
}

bool HasAt(Bytes bytes, size_t at, std::string_view text) {
  if (at > bytes.size() || bytes.size() - at < text.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (std::to_integer<char>(bytes[at + i]) != text[i]) return false;
  }
  return true;
}

// Tag 274 of the first directory of a TIFF header.
int TiffOrientation(Bytes tiff) {
  const bool little = HasAt(tiff, 0, "II");
  if (!little && !HasAt(tiff, 0, "MM")) return 1;
  const auto directory = Read(tiff, 4, 4, little);
  const auto entries = directory ? Read(tiff, *directory, 2, little) : std::nullopt;
  for (size_t i = 0; i < entries.value_or(0); ++i) {
    const size_t entry = size_t{*directory} + 2 + 12 * i;
    const auto tag = Read(tiff, entry, 2, little);
    if (!tag) return 1;
    if (*tag != 274) continue;
    const auto kind = Read(tiff, entry + 2, 2, little), value = Read(tiff, entry + 8, 2, little);
    return kind == 3u && value && *value >= 1 && *value <= 8 ? static_cast<int>(*value) : 1;
  }
  return 1;
}

// The APP1 segments before the first scan.
int JpegOrientation(Bytes file) {
  size_t at = 2;
  while (const auto marker = Read(file, at, 2, false)) {
    if (*marker == 0xffff) {  // a fill byte
      ++at;
      continue;
    }
    const auto length = Read(file, at + 2, 2, false);
    if (*marker >> 8 != 0xff || *marker == 0xffda || !length || *length < 2) return 1;
    if (*marker == 0xffe1 && HasAt(file, at + 4, std::string_view("Exif\0\0", 6))) {
      const Bytes rest = file.subspan(at + 10);
      return TiffOrientation(rest.first(std::min<size_t>(rest.size(), *length)));
    }
    at += 2 + *length;
  }
  return 1;
}

int PngOrientation(Bytes file) {
  size_t at = 8;
  while (const auto length = Read(file, at, 4, false)) {
    if (HasAt(file, at + 4, "IEND")) return 1;
    if (file.size() - at < size_t{12} + *length) return 1;
    if (HasAt(file, at + 4, "eXIf")) return TiffOrientation(file.subspan(at + 8, *length));
    at += size_t{12} + *length;
  }
  return 1;
}

}  // namespace

int ExifOrientation(Bytes file) {
  if (HasAt(file, 0, "\xff\xd8")) return JpegOrientation(file);
  if (HasAt(file, 0, "\x89PNG\r\n\x1a\n")) return PngOrientation(file);
  return 1;
}

Image Upright(const Image& image, int orientation) {
  if (orientation <= 1 || orientation > 8) return image;
  const bool exchanged = orientation >= 5;
  const int w = image.width, h = image.height;
  Image out;
  out.width = exchanged ? h : w;
  out.height = exchanged ? w : h;
  out.rgb.resize(image.rgb.size());
  // Whether columns and rows of the file count backwards.
  const bool mirrored =
      orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool flipped = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  uint8_t* to = out.rgb.data();
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      const int column = exchanged ? y : x, row = exchanged ? x : y;
      const size_t from =
          static_cast<size_t>(flipped ? h - 1 - row : row) * static_cast<size_t>(w) +
          static_cast<size_t>(mirrored ? w - 1 - column : column);
      for (size_t c = 0; c < 3; ++c) *to++ = image.rgb[from * 3 + c];
    }
  }
  return out;
}

}  // namespace fovea
