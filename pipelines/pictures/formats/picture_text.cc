#include "pipelines/pictures/formats/picture_text.h"

#include "pipelines/pictures/formats/exif.h"
#include "pipelines/pictures/picture_format.h"
#include "tensor/error.h"

namespace fovea {
namespace {

[[noreturn]] void Bad(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::kBadFile, where + ": " + what);
}

}  // namespace

PngText ParsePictureText(std::span<const std::byte> bytes, const std::string& where) {
  const PictureFormat format = FormatOf(bytes);
  if (format == PictureFormat::kPng) return ParsePngText(bytes, where);
  if (format == PictureFormat::kNone) Bad(where, "not a PNG, JPEG or WebP file");
  const std::string comment = ExifUserComment(bytes);
  if (comment.empty()) return {};
  return {{"parameters", Utf8OrLatin1(comment)}};
}

PngText ReadPictureText(const std::filesystem::path& path) {
  return ParsePictureText(ReadPictureBytes(path), path.string());
}

}  // namespace fovea
