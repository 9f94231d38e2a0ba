#include "pipelines/picture_file.h"

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <vector>

#include "pipelines/exif.h"
#include "pipelines/picture_pixels.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr std::streamoff kMaxFileBytes = std::streamoff{1} << 29;
constexpr int kMaxSide = 1 << 20;

[[noreturn]] void Bad(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::kBadFile, where + ": " + what);
}

}  // namespace

Image DecodePicture(std::span<const std::byte> bytes, const std::string& where) {
  const auto begins = [&](std::initializer_list<unsigned char> signature) {
    return bytes.size() >= signature.size() &&
           std::memcmp(bytes.data(), signature.begin(), signature.size()) == 0;
  };
  if (bytes.empty()) Bad(where, "is empty; a PNG or JPEG picture was expected");
  const bool png = begins({0x89, 'P', 'N', 'G'}), jpeg = begins({0xff, 0xd8, 0xff});
  if (!png && !jpeg) Bad(where, "is neither a PNG nor a JPEG picture");
  const Image image = png ? DecodePng(bytes, where) : DecodeJpeg(bytes, where);
  return Upright(image, ExifOrientation(bytes));
}

Image ReadPicture(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    Bad(path.string(), "is a folder; a PNG or JPEG picture was expected");
  }
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file ? static_cast<std::streamoff>(file.tellg()) : -1;
  if (size < 0) Bad(path.string(), "cannot be read");
  if (size > kMaxFileBytes) Bad(path.string(), "too large for a picture");
  std::vector<std::byte> bytes(static_cast<size_t>(size));
  file.seekg(0);
  if (!file.read(reinterpret_cast<char*>(bytes.data()), size)) Bad(path.string(), "cannot be read");
  return DecodePicture(bytes, path.string());
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
