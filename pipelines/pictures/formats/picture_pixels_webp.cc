// libwebp: still pictures, and the first frame of animations.
#include <memory>

#include <webp/decode.h>
#include <webp/demux.h>

#include "pipelines/pictures/picture_pixels.h"
#include "tensor/error.h"

namespace fovea {
namespace {

[[noreturn]] void Bad(const std::string& where) {
  throw Error(ErrorCode::kBadFile, where + ": not a readable WebP picture: it is damaged or cut");
}

DecodedPicture FirstFrame(const WebPData& data, const std::string& where) {
  WebPAnimDecoderOptions options;
  if (WebPAnimDecoderOptionsInit(&options) == 0) Bad(where);
  options.color_mode = MODE_RGBA;
  options.use_threads = 0;
  const std::unique_ptr<WebPAnimDecoder, decltype(&WebPAnimDecoderDelete)> decoder(
      WebPAnimDecoderNew(&data, &options), WebPAnimDecoderDelete);
  WebPAnimInfo info;
  if (decoder == nullptr || WebPAnimDecoderGetInfo(decoder.get(), &info) == 0) Bad(where);
  uint8_t* canvas = nullptr;
  int time = 0;
  if (WebPAnimDecoderGetNext(decoder.get(), &canvas, &time) == 0) Bad(where);
  return FromRgba(canvas, static_cast<int>(info.canvas_width),
                  static_cast<int>(info.canvas_height));
}

}  // namespace

DecodedPicture DecodeWebp(std::span<const std::byte> bytes, const std::string& where) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(data, bytes.size(), &features) != VP8_STATUS_OK) Bad(where);
  CheckPictureSize(features.width, features.height, where);
  if (features.has_animation != 0) return FirstFrame({data, bytes.size()}, where);
  const size_t row = 4 * static_cast<size_t>(features.width);
  std::vector<uint8_t> rgba(row * static_cast<size_t>(features.height));
  if (WebPDecodeRGBAInto(data, bytes.size(), rgba.data(), rgba.size(), static_cast<int>(row)) ==
      nullptr) {
    Bad(where);
  }
  return FromRgba(rgba.data(), features.width, features.height);
}

}  // namespace fovea
