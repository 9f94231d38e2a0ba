#include "pipelines/pictures/formats/gif_file.h"

#include <fstream>
#include <memory>
#include <string>

#include <gif_lib.h>

#include "tensor/error.h"

namespace fovea {
namespace {

struct CloseGif {
  void operator()(GifFileType* file) const { EGifCloseFile(file, nullptr); }
};

// giflib's own way to open a file gives it rights that are not the user's choice.
int AppendBytes(GifFileType* file, const GifByteType* bytes, int count) {
  static_cast<std::string*>(file->UserData)
      ->append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(count));
  return count;
}

[[noreturn]] void Fail(const std::filesystem::path& path, int code) {
  const char* reason = GifErrorString(code);
  throw Error(ErrorCode::kBadFile, path.string() + ": cannot be written as GIF: " +
                                       (reason == nullptr ? "unknown reason" : reason));
}

}  // namespace

void WriteGif(const std::filesystem::path& path, const std::vector<Image>& frames, int hundredths) {
  ENSURE(!frames.empty());
  const int width = frames[0].width, height = frames[0].height;
  const size_t pixels = static_cast<size_t>(width) * static_cast<size_t>(height);
  std::vector<GifByteType> red, green, blue;
  for (const Image& frame : frames) {
    ENSURE(frame.width == width && frame.height == height);
    for (size_t i = 0; i < pixels; ++i) {
      red.push_back(frame.rgb[3 * i]);
      green.push_back(frame.rgb[3 * i + 1]);
      blue.push_back(frame.rgb[3 * i + 2]);
    }
  }
  std::vector<GifByteType> index(red.size());
  std::vector<GifColorType> colors(256);
  int count = 256;
  if (GifQuantizeBuffer(static_cast<unsigned>(width),
                        static_cast<unsigned>(height) * static_cast<unsigned>(frames.size()),
                        &count, red.data(), green.data(), blue.data(), index.data(),
                        colors.data()) == GIF_ERROR) {
    Fail(path, E_GIF_ERR_NOT_ENOUGH_MEM);
  }
  const std::unique_ptr<ColorMapObject, void (*)(ColorMapObject*)> palette(
      GifMakeMapObject(256, colors.data()), GifFreeMapObject);
  int error = 0;
  std::string bytes;
  std::unique_ptr<GifFileType, CloseGif> file(EGifOpen(&bytes, AppendBytes, &error));
  if (file == nullptr) Fail(path, error);
  const auto check = [&](int result) {
    if (result == GIF_ERROR) Fail(path, file->Error);
  };
  EGifSetGifVersion(file.get(), true);
  check(EGifPutScreenDesc(file.get(), width, height, 8, 0, palette.get()));
  // Netscape's block: again and again.
  const GifByteType loop[] = {1, 0, 0};
  check(EGifPutExtensionLeader(file.get(), APPLICATION_EXT_FUNC_CODE));
  check(EGifPutExtensionBlock(file.get(), 11, "NETSCAPE2.0"));
  check(EGifPutExtensionBlock(file.get(), sizeof loop, loop));
  check(EGifPutExtensionTrailer(file.get()));
  for (size_t f = 0; f < frames.size(); ++f) {
    GraphicsControlBlock control{DISPOSE_DO_NOT, false, hundredths, NO_TRANSPARENT_COLOR};
    GifByteType block[4];
    EGifGCBToExtension(&control, block);
    check(EGifPutExtension(file.get(), GRAPHICS_EXT_FUNC_CODE, sizeof block, block));
    check(EGifPutImageDesc(file.get(), 0, 0, width, height, false, nullptr));
    for (int y = 0; y < height; ++y) {
      check(EGifPutLine(
          file.get(),
          index.data() + f * pixels + static_cast<size_t>(y) * static_cast<size_t>(width), width));
    }
  }
  if (EGifCloseFile(file.release(), &error) == GIF_ERROR) Fail(path, error);
  std::ofstream out(path, std::ios::binary);
  out << bytes;
  out.close();
  if (!out) throw Error(ErrorCode::kBadFile, path.string() + ": cannot be written");
}

}  // namespace fovea
