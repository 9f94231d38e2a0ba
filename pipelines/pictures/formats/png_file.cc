#include "pipelines/pictures/formats/png_file.h"

#include <csetjmp>
#include <cstring>

#include <png.h>

#include "models/files/atomic_file.h"
#include "models/files/text_file.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr uint64_t kMaxPixels = uint64_t{1} << 27;
constexpr size_t kMaxFileBytes = size_t{1} << 30;

// What libpng's callbacks share. libpng reports errors by longjmp, so nothing between setjmp and
// its calls may need a destructor.
struct PngOutput {
  std::string bytes;
  char error[160] = "";
};

void OnError(png_structp png, png_const_charp message) {
  auto* output = static_cast<PngOutput*>(png_get_error_ptr(png));
  std::strncpy(output->error, message, sizeof output->error - 1);
  std::longjmp(*png_set_longjmp_fn(png, std::longjmp, sizeof(std::jmp_buf)), 1);
}

void OnWarning(png_structp /*png*/, png_const_charp /*message*/) {}

void OnWrite(png_structp png, png_bytep data, size_t size) {
  try {
    static_cast<PngOutput*>(png_get_io_ptr(png))->bytes.append(reinterpret_cast<char*>(data), size);
  } catch (const std::exception&) {
    png_error(png, "out of memory");
  }
}

void OnFlush(png_structp /*png*/) {}

bool IsAscii(const std::string& text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  }
  return true;
}

// True on success; else output->error says why.
bool Encode(const Image& image, std::vector<png_text>& text, std::vector<png_bytep>& rows,
            PngOutput* output) {
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, output, OnError, OnWarning);
  png_infop info = png != nullptr ? png_create_info_struct(png) : nullptr;
  if (info == nullptr) {
    png_destroy_write_struct(&png, nullptr);
    return false;
  }
  if (setjmp(png_jmpbuf(png))) {
    png_destroy_write_struct(&png, &info);
    return false;
  }
  png_set_write_fn(png, output, OnWrite, OnFlush);
  png_set_IHDR(png, info, static_cast<png_uint_32>(image.width),
               static_cast<png_uint_32>(image.height), 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_set_compression_level(png, 6);
  png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_ALL_FILTERS);
  if (!text.empty()) png_set_text(png, info, text.data(), static_cast<int>(text.size()));
  png_write_info(png, info);
  png_write_image(png, rows.data());
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return true;
}

std::vector<std::byte> ReadBytes(const std::filesystem::path& path) {
  const std::string bytes = ReadTextFile(path, kMaxFileBytes);
  const auto* first = reinterpret_cast<const std::byte*>(bytes.data());
  return {first, first + bytes.size()};
}

}  // namespace

void WritePng(const std::filesystem::path& path, const Image& image, const PngText& text) {
  ENSURE(image.width > 0 && image.height > 0 &&
         image.rgb.size() ==
             size_t{3} * static_cast<size_t>(image.width) * static_cast<size_t>(image.height));
  std::vector<png_text> chunks;
  for (const auto& [key, value] : text) {
    ENSURE(!key.empty() && key.size() < 80 && IsAscii(key), "png: key " + key);
    const bool ascii = IsAscii(value);
    png_text chunk = {};
    chunk.compression = ascii ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
    chunk.key = const_cast<char*>(key.c_str());  // libpng copies both
    chunk.text = const_cast<char*>(value.c_str());
    (ascii ? chunk.text_length : chunk.itxt_length) = value.size();
    chunks.push_back(chunk);
  }
  std::vector<png_bytep> rows;
  for (int y = 0; y < image.height; ++y) {
    rows.push_back(const_cast<png_bytep>(image.rgb.data()) +
                   static_cast<size_t>(y) * 3 * static_cast<size_t>(image.width));
  }
  AtomicFile file(path);
  PngOutput output;
  if (!Encode(image, chunks, rows, &output)) {
    throw Error(ErrorCode::kInternal, path.string() + ": libpng failed: " + output.error);
  }
  file.Write(output.bytes);
  file.Commit();
}

Image ReadPng(const std::filesystem::path& path) {
  const std::vector<std::byte> bytes = ReadBytes(path);
  png_image png = {};
  png.version = PNG_IMAGE_VERSION;
  const auto fail = [&]() -> Error {
    const std::string message = png.message;
    png_image_free(&png);
    return Error(ErrorCode::kBadFile, path.string() + ": not a readable PNG: " + message);
  };
  if (png_image_begin_read_from_memory(&png, bytes.data(), bytes.size()) == 0) throw fail();
  if (uint64_t{png.width} * png.height > kMaxPixels) {
    png_image_free(&png);
    throw Error(ErrorCode::kBadFile,
                path.string() + ": more than " + std::to_string(kMaxPixels) + " pixels");
  }
  png.format = PNG_FORMAT_RGB;
  Image image;
  image.width = static_cast<int>(png.width);
  image.height = static_cast<int>(png.height);
  image.rgb.resize(PNG_IMAGE_SIZE(png));
  const png_color black = {0, 0, 0};  // under transparency
  if (png_image_finish_read(&png, &black, image.rgb.data(), 0, nullptr) == 0) throw fail();
  return image;
}

PngText ReadPngText(const std::filesystem::path& path) {
  return ParsePngText(ReadBytes(path), path.string());
}

}  // namespace fovea
