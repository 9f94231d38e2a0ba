#include "pipelines/pictures/picture_format.h"

#include <fstream>
#include <string>
#include <string_view>

#include "tensor/error.h"

namespace fovea {
namespace {

constexpr std::streamoff kMaxFileBytes = std::streamoff{1} << 29;

}  // namespace

PictureFormat FormatOf(std::span<const std::byte> first_bytes) {
  const std::string_view bytes(reinterpret_cast<const char*>(first_bytes.data()),
                               first_bytes.size());
  if (bytes.starts_with("\x89PNG\r\n\x1a\n")) return PictureFormat::kPng;
  if (bytes.starts_with("\xff\xd8\xff")) return PictureFormat::kJpeg;
  const bool riff = bytes.size() >= 12 && bytes.starts_with("RIFF") && bytes.substr(8, 4) == "WEBP";
  return riff ? PictureFormat::kWebp : PictureFormat::kNone;
}

std::vector<std::byte> ReadPictureBytes(const std::filesystem::path& path) {
  const auto bad = [&](const std::string& what) {
    throw Error(ErrorCode::kBadFile, path.string() + ": " + what);
  };
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) bad("is a folder; a picture was expected");
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file ? static_cast<std::streamoff>(file.tellg()) : -1;
  if (size < 0) bad("cannot be read");
  if (size > kMaxFileBytes) bad("too large for a picture");
  std::vector<std::byte> bytes(static_cast<size_t>(size));
  file.seekg(0);
  if (!file.read(reinterpret_cast<char*>(bytes.data()), size)) bad("cannot be read");
  return bytes;
}

}  // namespace fovea
