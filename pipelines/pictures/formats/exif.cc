#include "pipelines/pictures/formats/exif.h"

#include <algorithm>
#include <array>
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

// One entry of a directory of a TIFF header; `at` is where its value, or the offset of it, stands.
struct Entry {
  uint32_t kind = 0, count = 0;
  size_t at = 0;
};

std::optional<Entry> FindEntry(Bytes tiff, uint32_t directory, uint32_t tag, bool little) {
  const auto entries = Read(tiff, directory, 2, little);
  for (size_t i = 0; i < entries.value_or(0); ++i) {
    const size_t entry = size_t{directory} + 2 + 12 * i;
    const auto found = Read(tiff, entry, 2, little);
    if (!found) return std::nullopt;
    if (*found != tag) continue;
    const auto kind = Read(tiff, entry + 2, 2, little), count = Read(tiff, entry + 4, 4, little);
    if (!kind || !count) return std::nullopt;
    return Entry{*kind, *count, entry + 8};
  }
  return std::nullopt;
}

// Whether the header's numbers begin with their lowest byte; none: it is no header.
std::optional<bool> IsLittle(Bytes tiff) {
  if (HasAt(tiff, 0, "II")) return true;
  if (HasAt(tiff, 0, "MM")) return false;
  return std::nullopt;
}

// The APP1 segment before the first scan.
Bytes JpegTiff(Bytes file) {
  size_t at = 2;
  while (const auto marker = Read(file, at, 2, false)) {
    if (*marker == 0xffff) {  // a fill byte
      ++at;
      continue;
    }
    const auto length = Read(file, at + 2, 2, false);
    if (*marker >> 8 != 0xff || *marker == 0xffda || !length || *length < 2) return {};
    if (*marker == 0xffe1 && HasAt(file, at + 4, std::string_view("Exif\0\0", 6))) {
      const Bytes rest = file.subspan(at + 10);
      return rest.first(std::min<size_t>(rest.size(), *length));
    }
    at += 2 + *length;
  }
  return {};
}

Bytes PngTiff(Bytes file) {
  size_t at = 8;
  while (const auto length = Read(file, at, 4, false)) {
    if (HasAt(file, at + 4, "IEND")) return {};
    if (file.size() - at < size_t{12} + *length) return {};
    if (HasAt(file, at + 4, "eXIf")) return file.subspan(at + 8, *length);
    at += size_t{12} + *length;
  }
  return {};
}

// Chunks have an even size; some programs put JPEG's mark before the header.
Bytes WebpTiff(Bytes file) {
  size_t at = 12;
  while (const auto length = Read(file, at + 4, 4, true)) {
    const Bytes data = file.subspan(at + 8);
    if (data.size() < *length) return {};
    if (HasAt(file, at, "EXIF")) {
      return data.first(*length).subspan(HasAt(data, 0, std::string_view("Exif\0\0", 6)) ? 6 : 0);
    }
    at += size_t{8} + *length + *length % 2;
  }
  return {};
}

Bytes TiffOf(Bytes file) {
  if (HasAt(file, 0, "\xff\xd8")) return JpegTiff(file);
  if (HasAt(file, 0, "\x89PNG\r\n\x1a\n")) return PngTiff(file);
  if (HasAt(file, 0, std::string_view("II*\0", 4)) ||
      HasAt(file, 0, std::string_view("MM\0*", 4))) {
    return file;  // a TIFF file is such a header itself
  }
  if (HasAt(file, 0, "RIFF") && HasAt(file, 8, "WEBP")) return WebpTiff(file);
  return {};
}

void AppendUtf8(uint32_t code, std::string& out) {
  if (code >= 0xd800 && code < 0xe000) code = 0xfffd;  // half a pair
  if (code < 0x80) {
    out += static_cast<char>(code);
    return;
  }
  const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  out += static_cast<char>((0xff80 >> more & 0xff) | code >> (6 * more));
  for (int i = more - 1; i >= 0; --i) out += static_cast<char>(0x80 | (code >> (6 * i) & 0x3f));
}

// UTF-16 whose byte order nothing says: programs disagree whether it is the header's. Latin text
// tells by where its zeros stand; A1111's is high byte first.
std::string FromUtf16(Bytes text) {
  std::array<size_t, 2> zeros{};
  for (size_t i = 0; i + 1 < text.size(); ++i) zeros[i % 2] += text[i] == std::byte{0} ? 1 : 0;
  bool little = zeros[1] > zeros[0];
  if (HasAt(text, 0, "\xff\xfe")) little = true;
  if (HasAt(text, 0, "\xfe\xff")) little = false;
  std::string out;
  for (size_t at = 0; const auto unit = Read(text, at, 2, little); at += 2) {
    uint32_t code = *unit;
    if (code == 0xfeff && at == 0) continue;
    const auto next = Read(text, at + 2, 2, little);
    if (code >= 0xd800 && code < 0xdc00 && next && *next >= 0xdc00 && *next < 0xe000) {
      code = 0x10000 + ((code - 0xd800) << 10) + (*next - 0xdc00);
      at += 2;
    }
    AppendUtf8(code, out);
  }
  return out;
}

}  // namespace

int ExifOrientation(Bytes file) {
  constexpr uint32_t kOrientation = 274, kShort = 3;
  const Bytes tiff = TiffOf(file);
  const auto little = IsLittle(tiff);
  const auto directory = little ? Read(tiff, 4, 4, *little) : std::nullopt;
  const auto entry = directory ? FindEntry(tiff, *directory, kOrientation, *little) : std::nullopt;
  if (!entry || entry->kind != kShort) return 1;
  const auto value = Read(tiff, entry->at, 2, *little);
  return value && *value >= 1 && *value <= 8 ? static_cast<int>(*value) : 1;
}

std::string ExifUserComment(Bytes file) {
  constexpr uint32_t kExifDirectory = 0x8769, kUserComment = 0x9286;
  constexpr size_t kCharset = 8;  // bytes that name it
  const Bytes tiff = TiffOf(file);
  const auto little = IsLittle(tiff);
  const auto first = little ? Read(tiff, 4, 4, *little) : std::nullopt;
  const auto exif = first ? FindEntry(tiff, *first, kExifDirectory, *little) : std::nullopt;
  const auto second = exif ? Read(tiff, exif->at, 4, *little) : std::nullopt;
  const auto entry = second ? FindEntry(tiff, *second, kUserComment, *little) : std::nullopt;
  const auto begin = entry ? Read(tiff, entry->at, 4, *little) : std::nullopt;
  if (!begin || *begin > tiff.size() || entry->count > tiff.size() - *begin ||
      entry->count < kCharset) {
    return {};
  }
  const Bytes text = tiff.subspan(*begin + kCharset, entry->count - kCharset);
  std::string out;
  if (HasAt(tiff, *begin, std::string_view("UNICODE\0", 8))) {
    out = FromUtf16(text);
  } else {
    for (const std::byte byte : text) out += std::to_integer<char>(byte);
  }
  const size_t end = out.find_last_not_of('\0');
  out.resize(end == std::string::npos ? 0 : end + 1);
  return out;
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
