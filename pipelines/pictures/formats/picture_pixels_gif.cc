// giflib: the first frame of a GIF, on its canvas.
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include <gif_lib.h>

#include "pipelines/pictures/picture_pixels.h"
#include "tensor/error.h"

namespace fovea {
namespace {

struct CloseGif {
  void operator()(GifFileType* file) const { DGifCloseFile(file, nullptr); }
};

int ReadBytes(GifFileType* file, GifByteType* to, int count) {
  auto* left = static_cast<std::span<const std::byte>*>(file->UserData);
  const size_t size = std::min(left->size(), static_cast<size_t>(std::max(count, 0)));
  if (size > 0) std::memcpy(to, left->data(), size);
  *left = left->subspan(size);
  return static_cast<int>(size);
}

class GifReader {
 public:
  GifReader(std::span<const std::byte> bytes, const std::string& where)
      : left_(bytes), where_(where) {
    int error = 0;
    file_.reset(DGifOpen(&left_, ReadBytes, &error));
    if (file_ == nullptr) Bad(error);
  }

  DecodedPicture FirstFrame() {
    FindFrame();
    const GifImageDesc& frame = file_->Image;
    const int width = std::max(file_->SWidth, frame.Left + frame.Width);
    const int height = std::max(file_->SHeight, frame.Top + frame.Height);
    CheckPictureSize(width, height, where_);
    CheckPictureSize(frame.Width, frame.Height, where_);
    const ColorMapObject* colors = frame.ColorMap != nullptr ? frame.ColorMap : file_->SColorMap;
    if (colors == nullptr) Bad("it has no colours");
    // What the frame does not cover is transparent.
    std::vector<uint8_t> rgba(4 * static_cast<size_t>(width) * static_cast<size_t>(height));
    std::vector<GifPixelType> line(static_cast<size_t>(frame.Width));
    for (int row = 0; row < frame.Height; ++row) {
      if (DGifGetLine(file_.get(), line.data(), frame.Width) == GIF_ERROR) Bad(file_->Error);
      const int y = frame.Top + (frame.Interlace ? InterlacedRow(row, frame.Height) : row);
      uint8_t* to = rgba.data() + 4 * (static_cast<size_t>(y) * static_cast<size_t>(width) +
                                       static_cast<size_t>(frame.Left));
      for (const GifPixelType index : line) {
        if (index >= colors->ColorCount) Bad("a pixel has no colour");
        const GifColorType& color = colors->Colors[index];
        *to++ = color.Red;
        *to++ = color.Green;
        *to++ = color.Blue;
        *to++ = index == transparent_ ? 0 : 255;
      }
    }
    return FromRgba(rgba.data(), width, height);
  }

 private:
  // Up to the first frame's description; extensions before it may name the transparent colour.
  void FindFrame() {
    for (;;) {
      GifRecordType kind = UNDEFINED_RECORD_TYPE;
      if (DGifGetRecordType(file_.get(), &kind) == GIF_ERROR) Bad(file_->Error);
      if (kind == IMAGE_DESC_RECORD_TYPE) {
        if (DGifGetImageDesc(file_.get()) == GIF_ERROR) Bad(file_->Error);
        return;
      }
      if (kind != EXTENSION_RECORD_TYPE) Bad("it has no frame");
      ReadExtension();
    }
  }

  void ReadExtension() {
    int code = 0;
    GifByteType* block = nullptr;  // its length, then its bytes
    if (DGifGetExtension(file_.get(), &code, &block) == GIF_ERROR) Bad(file_->Error);
    while (block != nullptr) {
      GraphicsControlBlock control;
      if (code == GRAPHICS_EXT_FUNC_CODE && block[0] >= 4 &&
          DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK) {
        transparent_ = control.TransparentColor;
      }
      if (DGifGetExtensionNext(file_.get(), &block) == GIF_ERROR) Bad(file_->Error);
    }
  }

  // Every 8th row, those between them, every 4th, every 2nd.
  static int InterlacedRow(int index, int height) {
    constexpr std::array<std::array<int, 2>, 4> kPasses = {{{0, 8}, {4, 8}, {2, 4}, {1, 2}}};
    for (const auto& [first, step] : kPasses) {
      const int rows = first < height ? (height - first + step - 1) / step : 0;
      if (index < rows) return first + index * step;
      index -= rows;
    }
    return height - 1;
  }

  [[noreturn]] void Bad(const std::string& why) const {
    throw Error(ErrorCode::kBadFile, where_ + ": not a readable GIF picture: " + why);
  }
  [[noreturn]] void Bad(int code) const {
    const char* reason = GifErrorString(code);
    Bad(std::string(reason == nullptr ? "it is damaged or cut" : reason));
  }

  std::span<const std::byte> left_;
  const std::string& where_;
  std::unique_ptr<GifFileType, CloseGif> file_;
  int transparent_ = NO_TRANSPARENT_COLOR;
};

}  // namespace

DecodedPicture DecodeGif(std::span<const std::byte> bytes, const std::string& where) {
  return GifReader(bytes, where).FirstFrame();
}

}  // namespace fovea
