// libtiff: the first picture of a TIFF file, through its own conversion to 8-bit RGB and alpha.
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>

#include <tiffio.h>

#include "pipelines/pictures/picture_pixels.h"
#include "tensor/error.h"

namespace fovea {
namespace {

struct TiffInput {
  std::span<const std::byte> bytes;
  uint64_t at = 0;
  char error[160] = "";
};

tmsize_t OnRead(thandle_t handle, void* to, tmsize_t size) {
  auto* input = static_cast<TiffInput*>(handle);
  const uint64_t left = input->at < input->bytes.size() ? input->bytes.size() - input->at : 0;
  const auto count = std::min(left, static_cast<uint64_t>(std::max<tmsize_t>(size, 0)));
  if (count > 0) std::memcpy(to, input->bytes.data() + input->at, count);
  input->at += count;
  return static_cast<tmsize_t>(count);
}

tmsize_t OnWrite(thandle_t /*handle*/, void* /*from*/, tmsize_t /*size*/) {
  return 0;
}

toff_t OnSeek(thandle_t handle, toff_t offset, int from) {
  auto* input = static_cast<TiffInput*>(handle);
  const uint64_t base = from == SEEK_SET ? 0 : from == SEEK_CUR ? input->at : input->bytes.size();
  input->at = base + offset;
  return input->at;
}

int OnClose(thandle_t /*handle*/) {
  return 0;
}

toff_t OnSize(thandle_t handle) {
  return static_cast<TiffInput*>(handle)->bytes.size();
}

int OnError(TIFF* /*file*/, void* user, const char* /*module*/, const char* format, va_list args) {
  auto* input = static_cast<TiffInput*>(user);
  std::vsnprintf(input->error, sizeof input->error, format, args);
  return 1;
}

int OnWarning(TIFF* /*file*/, void* /*user*/, const char* /*module*/, const char* /*format*/,
              va_list /*args*/) {
  return 1;
}

struct FreeOptions {
  void operator()(TIFFOpenOptions* options) const { TIFFOpenOptionsFree(options); }
};
struct CloseTiff {
  void operator()(TIFF* file) const { TIFFClose(file); }
};

}  // namespace

DecodedPicture DecodeTiff(std::span<const std::byte> bytes, const std::string& where) {
  TiffInput input{bytes};
  const auto fail = [&] {
    throw Error(ErrorCode::kBadFile,
                where + ": not a readable TIFF picture: " +
                    (input.error[0] == '\0' ? "it is damaged or cut" : input.error));
  };
  const std::unique_ptr<TIFFOpenOptions, FreeOptions> options(TIFFOpenOptionsAlloc());
  if (options == nullptr) fail();
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), OnError, &input);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), OnWarning, nullptr);
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), 4 * kMaxPicturePixels);
  // m: no mapping, there is no file.
  const std::unique_ptr<TIFF, CloseTiff> file(TIFFClientOpenExt("picture", "rm", &input, OnRead,
                                                                OnWrite, OnSeek, OnClose, OnSize,
                                                                nullptr, nullptr, options.get()));
  if (file == nullptr) fail();
  uint32_t width = 0, height = 0;
  uint16_t orientation = ORIENTATION_TOPLEFT;
  if (TIFFGetField(file.get(), TIFFTAG_IMAGEWIDTH, &width) == 0 ||
      TIFFGetField(file.get(), TIFFTAG_IMAGELENGTH, &height) == 0) {
    fail();
  }
  CheckPictureSize(width, height, where);
  TIFFGetFieldDefaulted(file.get(), TIFFTAG_ORIENTATION, &orientation);
  std::vector<uint32_t> raster(size_t{width} * height);
  // Asked for as the file has it; who reads the orientation turns the picture.
  if (TIFFReadRGBAImageOriented(file.get(), width, height, raster.data(), orientation,
                                /*stop=*/1) == 0) {
    fail();
  }
  std::vector<uint8_t> rgba(4 * raster.size());
  for (size_t i = 0; i < raster.size(); ++i) {
    const uint32_t alpha = TIFFGetA(raster[i]);
    // libtiff hands out colours times alpha.
    const auto straight = [&](uint32_t color) {
      const uint32_t value = alpha == 0 ? 0 : (color * 255 + alpha / 2) / alpha;
      return static_cast<uint8_t>(std::min<uint32_t>(value, 255));
    };
    rgba[4 * i] = straight(TIFFGetR(raster[i]));
    rgba[4 * i + 1] = straight(TIFFGetG(raster[i]));
    rgba[4 * i + 2] = straight(TIFFGetB(raster[i]));
    rgba[4 * i + 3] = static_cast<uint8_t>(alpha);
  }
  return FromRgba(rgba.data(), static_cast<int>(width), static_cast<int>(height));
}

}  // namespace fovea
