// libjpeg, driven row by row. It reports errors by longjmp here, so nothing between setjmp and its
// calls may need a destructor.
#include <csetjmp>
#include <cstdio>
#include <vector>

#include <jerror.h>
#include <jpeglib.h>

#include "pipelines/pictures/picture_pixels.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr int kMaxScans = 256;  // of a progressive file; each goes over the whole picture

struct JpegErrors {
  jpeg_error_mgr base;  // first: libjpeg hands back its address
  std::jmp_buf failed;
  char text[JMSG_LENGTH_MAX] = "";
};

[[noreturn]] void OnError(j_common_ptr jpeg) {
  auto* errors = reinterpret_cast<JpegErrors*>(jpeg->err);
  errors->base.format_message(jpeg, errors->text);
  std::longjmp(errors->failed, 1);
}

// Of warnings only those that say a part of the picture is missing count.
void OnMessage(j_common_ptr jpeg, int level) {
  const int code = jpeg->err->msg_code;
  if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER)) OnError(jpeg);
}

void OnProgress(j_common_ptr jpeg) {
  const auto* decoder = reinterpret_cast<j_decompress_ptr>(jpeg);
  if (decoder->input_scan_number > kMaxScans) {
    jpeg->err->msg_code = JERR_BAD_PROGRESSION;
    OnError(jpeg);
  }
}

class JpegReader {
 public:
  JpegReader() {
    jpeg_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = OnError;
    errors_.base.emit_message = OnMessage;
    progress_.progress_monitor = OnProgress;
  }
  ~JpegReader() { jpeg_destroy_decompress(&jpeg_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  // False: Reason() says why.
  bool ReadHeader(std::span<const std::byte> bytes) {
    if (setjmp(errors_.failed)) return false;
    jpeg_create_decompress(&jpeg_);
    jpeg_.progress = &progress_;
    jpeg_mem_src(&jpeg_, reinterpret_cast<const unsigned char*>(bytes.data()),
                 static_cast<unsigned long>(bytes.size()));
    jpeg_read_header(&jpeg_, TRUE);
    return true;
  }

  bool Inks() const {  // cyan, magenta, yellow, black
    return jpeg_.jpeg_color_space == JCS_CMYK || jpeg_.jpeg_color_space == JCS_YCCK;
  }
  int64_t Width() const { return jpeg_.image_width; }
  int64_t Height() const { return jpeg_.image_height; }
  const char* Reason() const { return errors_.text; }

  // 3 bytes a pixel, or 4 with inks; `pixels` is as large as that.
  bool ReadRows(uint8_t* pixels) {
    if (setjmp(errors_.failed)) return false;
    jpeg_.out_color_space = Inks() ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(&jpeg_);
    const size_t row_bytes = size_t{jpeg_.output_width} * (Inks() ? 4 : 3);
    while (jpeg_.output_scanline < jpeg_.output_height) {
      JSAMPROW row = pixels + jpeg_.output_scanline * row_bytes;
      jpeg_read_scanlines(&jpeg_, &row, 1);
    }
    jpeg_finish_decompress(&jpeg_);
    return true;
  }

 private:
  jpeg_decompress_struct jpeg_ = {};
  JpegErrors errors_ = {};
  jpeg_progress_mgr progress_ = {};
};

// Inks are stored inverted, as Adobe writes them: 255 is none. The product of two, over 255,
// rounded, as Pillow multiplies.
uint8_t FromInk(int ink, int black) {
  const int product = (255 - ink) * black + 128;
  return static_cast<uint8_t>(black - (((product >> 8) + product) >> 8));
}

}  // namespace

DecodedPicture DecodeJpeg(std::span<const std::byte> bytes, const std::string& where) {
  JpegReader reader;
  const auto fail = [&] {
    throw Error(ErrorCode::kBadFile, where + ": not a readable JPEG picture: " + reader.Reason());
  };
  if (!reader.ReadHeader(bytes)) fail();
  CheckPictureSize(reader.Width(), reader.Height(), where);
  Image image{static_cast<int>(reader.Width()), static_cast<int>(reader.Height()), {}};
  const auto count = static_cast<size_t>(reader.Width() * reader.Height());
  std::vector<uint8_t> pixels(count * (reader.Inks() ? 4 : 3));
  const bool inks = reader.Inks();
  if (!reader.ReadRows(pixels.data())) fail();
  if (!inks) {
    image.rgb = std::move(pixels);
    return {std::move(image), {}};
  }
  image.rgb.resize(count * 3);
  for (size_t i = 0; i < count; ++i) {
    for (size_t c = 0; c < 3; ++c) {
      image.rgb[3 * i + c] = FromInk(pixels[4 * i + c], pixels[4 * i + 3]);
    }
  }
  return {std::move(image), {}};
}

}  // namespace fovea
