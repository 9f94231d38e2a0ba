// stb_image, for the formats that no library of their own reads: BMP, TGA, PSD, PNM and HDR, whose
// readers are short. Its JPEG, PNG, GIF and PIC readers are left out.
#include <memory>

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_BMP
#define STBI_ONLY_TGA
#define STBI_ONLY_PSD
#define STBI_ONLY_PNM
#define STBI_ONLY_HDR
#define STBI_NO_STDIO
#define STBI_NO_THREAD_LOCALS
#define STBI_MAX_DIMENSIONS (1 << 20)
#include <stb/stb_image.h>

#include "pipelines/pictures/picture_pixels.h"
#include "tensor/error.h"

namespace fovea {
namespace {

struct FreePixels {
  void operator()(stbi_uc* pixels) const { stbi_image_free(pixels); }
};

}  // namespace

DecodedPicture DecodeWithStb(std::span<const std::byte> bytes, const std::string& where) {
  const auto* data = reinterpret_cast<const stbi_uc*>(bytes.data());
  const int size = static_cast<int>(bytes.size());  // ReadPictureBytes: half a gigabyte at most
  int width = 0, height = 0, channels = 0;
  const auto fail = [&] {
    throw Error(ErrorCode::kBadFile, where + ": not a readable picture: it is damaged, cut, or of "
                                             "a kind of its format that is not read");
  };
  if (stbi_info_from_memory(data, size, &width, &height, &channels) == 0) fail();
  CheckPictureSize(width, height, where);
  const std::unique_ptr<stbi_uc, FreePixels> pixels(
      stbi_load_from_memory(data, size, &width, &height, &channels, STBI_rgb_alpha));
  if (pixels == nullptr) fail();
  CheckPictureSize(width, height, where);
  return FromRgba(pixels.get(), width, height);
}

}  // namespace fovea
