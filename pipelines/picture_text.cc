#include "pipelines/picture_text.h"

#include <fstream>
#include <string_view>
#include <vector>

#include "pipelines/exif.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr std::streamoff kMaxFileBytes = std::streamoff{1} << 30;

[[noreturn]] void Bad(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::kBadFile, where + ": " + what);
}

}  // namespace

PictureFormat FormatOf(std::span<const std::byte> first_bytes) {
  const std::string_view bytes(reinterpret_cast<const char*>(first_bytes.data()),
                               first_bytes.size());
  if (bytes.starts_with("\x89PNG\r\n\x1a\n")) return PictureFormat::kPng;
  if (bytes.starts_with("\xff\xd8\xff")) return PictureFormat::kJpeg;
  const bool riff = bytes.size() >= 12 && bytes.starts_with("RIFF") && bytes.substr(8, 4) == "WEBP";
  return riff ? PictureFormat::kWebp : PictureFormat::kNone;
}

PngText ParsePictureText(std::span<const std::byte> bytes, const std::string& where) {
  const PictureFormat format = FormatOf(bytes);
  if (format == PictureFormat::kPng) return ParsePngText(bytes, where);
  if (format == PictureFormat::kNone) Bad(where, "not a PNG, JPEG or WebP file");
  const std::string comment = ExifUserComment(bytes);
  if (comment.empty()) return {};
  return {{"parameters", Utf8OrLatin1(comment)}};
}

PngText ReadPictureText(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file ? static_cast<std::streamoff>(file.tellg()) : -1;
  if (size < 0) Bad(path.string(), "cannot be read");
  if (size > kMaxFileBytes) Bad(path.string(), "too large for a picture");
  std::vector<std::byte> bytes(static_cast<size_t>(size));
  file.seekg(0);
  if (!file.read(reinterpret_cast<char*>(bytes.data()), size)) Bad(path.string(), "cannot be read");
  return ParsePictureText(bytes, path.string());
}

}  // namespace fovea
