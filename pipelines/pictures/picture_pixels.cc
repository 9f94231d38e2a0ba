#include "pipelines/pictures/picture_pixels.h"

#include <algorithm>

#include "tensor/error.h"

namespace fovea {

void CheckPictureSize(int64_t width, int64_t height, const std::string& where) {
  if (width >= 1 && height >= 1 && width <= kMaxPicturePixels / height) return;
  throw Error(ErrorCode::kBadFile, where + ": a picture of " + std::to_string(width) + "x" +
                                       std::to_string(height) + "; at most " +
                                       std::to_string(kMaxPicturePixels) +
                                       " pixels are read, make it smaller");
}

DecodedPicture FromRgba(const uint8_t* rgba, int width, int height) {
  const size_t count = static_cast<size_t>(width) * static_cast<size_t>(height);
  DecodedPicture picture{{width, height, std::vector<uint8_t>(3 * count)},
                         std::vector<uint8_t>(count)};
  for (size_t i = 0; i < count; ++i) {
    std::copy_n(rgba + 4 * i, 3, picture.image.rgb.data() + 3 * i);
    picture.alpha[i] = rgba[4 * i + 3];
  }
  const bool opaque = std::all_of(picture.alpha.begin(), picture.alpha.end(),
                                  [](uint8_t alpha) { return alpha == 255; });
  if (opaque) picture.alpha.clear();
  return picture;
}

}  // namespace fovea
