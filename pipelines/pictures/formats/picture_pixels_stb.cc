// stb_image, for the formats that no library of their own reads: BMP, TGA, PSD, PNM and HDR, whose
// readers are short. Its JPEG, PNG, GIF and PIC readers are left out.
#include <algorithm>
#include <cstring>
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

// stb_image takes a file that ends early for one of zeros, or of whatever stood in memory. It asks
// for pieces of kPiece bytes ahead, and for longer ones where it needs them: what is asked for
// behind the end, or is a long piece that is not all there, was cut off.
struct StbInput {
  static constexpr int kPiece = 128;
  std::span<const std::byte> bytes;
  size_t at = 0;
  bool cut = false;

  static int Read(void* user, char* to, int size) {
    auto& input = *static_cast<StbInput*>(user);
    const size_t wanted = static_cast<size_t>(std::max(size, 0));
    const size_t left = input.bytes.size() - std::min(input.at, input.bytes.size());
    const size_t count = std::min(left, wanted);
    if (count > 0) std::memcpy(to, input.bytes.data() + input.at, count);
    std::memset(to + count, 0, wanted - count);
    input.cut = input.cut || (wanted > 0 && count == 0) || (count < wanted && size != kPiece);
    input.at += count;
    return static_cast<int>(count);
  }
  static void Skip(void* user, int size) {
    auto& input = *static_cast<StbInput*>(user);
    const auto at = static_cast<int64_t>(input.at) + size;
    input.at = static_cast<size_t>(std::max<int64_t>(at, 0));
  }
  static int AtEnd(void* user) {
    const auto& input = *static_cast<StbInput*>(user);
    return input.at >= input.bytes.size() ? 1 : 0;
  }
};

constexpr stbi_io_callbacks kCallbacks = {StbInput::Read, StbInput::Skip, StbInput::AtEnd};

}  // namespace

DecodedPicture DecodeWithStb(std::span<const std::byte> bytes, const std::string& where) {
  int width = 0, height = 0, channels = 0;
  const auto fail = [&] {
    throw Error(ErrorCode::kBadFile, where +
                                         ": not a readable picture: it is damaged, cut, or of "
                                         "a kind of its format that is not read");
  };
  StbInput header{bytes};
  if (stbi_info_from_callbacks(&kCallbacks, &header, &width, &height, &channels) == 0) fail();
  CheckPictureSize(width, height, where);
  StbInput input{bytes};
  const std::unique_ptr<stbi_uc, FreePixels> pixels(
      stbi_load_from_callbacks(&kCallbacks, &input, &width, &height, &channels, STBI_rgb_alpha));
  if (pixels == nullptr || input.cut) fail();
  CheckPictureSize(width, height, where);
  return FromRgba(pixels.get(), width, height);
}

}  // namespace fovea
