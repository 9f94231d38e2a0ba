// libpng, driven row by row. It reports errors by longjmp, so nothing between setjmp and its calls
// may need a destructor.
#include <csetjmp>
#include <cstring>
#include <vector>

#include <png.h>

#include "pipelines/pictures/picture_pixels.h"
#include "tensor/error.h"

namespace fovea {
namespace {

struct PngInput {
  std::span<const std::byte> left;
  char error[160] = "";
};

void OnError(png_structp png, png_const_charp message) {
  auto* input = static_cast<PngInput*>(png_get_error_ptr(png));
  std::strncpy(input->error, message, sizeof input->error - 1);
  std::longjmp(*png_set_longjmp_fn(png, std::longjmp, sizeof(std::jmp_buf)), 1);
}

void OnWarning(png_structp /*png*/, png_const_charp /*message*/) {}

void OnRead(png_structp png, png_bytep to, size_t size) {
  auto* input = static_cast<PngInput*>(png_get_io_ptr(png));
  if (size > input->left.size()) png_error(png, "the file ends early");
  std::memcpy(to, input->left.data(), size);
  input->left = input->left.subspan(size);
}

// One decoder's state; the parts that libpng allocates are freed whatever happens.
class PngReader {
 public:
  explicit PngReader(PngInput* input) : input_(input) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, input, OnError, OnWarning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
  }
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  // False: input->error says why.
  bool ReadHeader(png_uint_32* width, png_uint_32* height) {
    if (info_ == nullptr) return false;
    if (setjmp(png_jmpbuf(png_))) return false;
    png_set_read_fn(png_, input_, OnRead);
    png_set_user_limits(png_, 1u << 20, 1u << 20);
    png_set_chunk_malloc_max(png_, 1u << 24);
    png_set_chunk_cache_max(png_, 256);
    png_read_info(png_, info_);
    *width = png_get_image_width(png_, info_);
    *height = png_get_image_height(png_, info_);
    return true;
  }

  bool HasAlpha() const {
    return (png_get_color_type(png_, info_) & PNG_COLOR_MASK_ALPHA) != 0 ||
           png_get_valid(png_, info_, PNG_INFO_tRNS) != 0;
  }

  bool ReadRows(png_bytepp rows, size_t row_bytes) {
    if (setjmp(png_jmpbuf(png_))) return false;
    const int type = png_get_color_type(png_, info_);
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png_);
    if (type == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png_);
    png_set_strip_16(png_);
    if (HasAlpha()) {
      png_set_tRNS_to_alpha(png_);
    } else {
      png_set_strip_alpha(png_);
    }
    if ((type & PNG_COLOR_MASK_COLOR) == 0) png_set_gray_to_rgb(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    if (png_get_rowbytes(png_, info_) != row_bytes) png_error(png_, "unexpected channels");
    png_read_image(png_, rows);
    png_read_end(png_, nullptr);
    return true;
  }

 private:
  PngInput* input_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

}  // namespace

DecodedPicture DecodePng(std::span<const std::byte> bytes, const std::string& where) {
  PngInput input{bytes};
  PngReader reader(&input);
  const auto fail = [&] {
    throw Error(ErrorCode::kBadFile, where + ": not a readable PNG picture: " + input.error);
  };
  png_uint_32 width = 0, height = 0;
  if (!reader.ReadHeader(&width, &height)) fail();
  CheckPictureSize(width, height, where);
  const bool alpha = reader.HasAlpha();
  const size_t row_bytes = size_t{alpha ? 4u : 3u} * width;
  std::vector<uint8_t> pixels(row_bytes * height);
  std::vector<png_bytep> rows;
  for (size_t y = 0; y < height; ++y) rows.push_back(pixels.data() + y * row_bytes);
  if (!reader.ReadRows(rows.data(), row_bytes)) fail();
  const int w = static_cast<int>(width), h = static_cast<int>(height);
  if (alpha) return FromRgba(pixels.data(), w, h);
  return {{w, h, std::move(pixels)}, {}};
}

}  // namespace fovea
