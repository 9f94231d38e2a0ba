#include "pipelines/pictures/image_input.h"

#include <algorithm>
#include <cmath>

#include "pipelines/pictures/resample.h"
#include "tensor/error.h"

namespace fovea {
namespace {

void CheckSameSize(const Image& image, const PixelMask& mask) {
  ENSURE(image.width == mask.width && image.height == mask.height, "a mask of another size");
}

// Squared distance to the nearest repainted pixel, up to (reach + 1)^2.
std::vector<int> SquaredDistances(const PixelMask& mask, int reach) {
  const int w = mask.width, h = mask.height, far = reach + 1;
  const auto at = [&](int y, int x) {
    return static_cast<size_t>(y) * static_cast<size_t>(w) + static_cast<size_t>(x);
  };
  std::vector<int> along(mask.repaint.size(), far), squared(mask.repaint.size());
  for (int y = 0; y < h; ++y) {
    for (int x = 0, gap = far; x < w; ++x) {
      gap = mask.repaint[at(y, x)] != 0 ? 0 : std::min(gap + 1, far);
      along[at(y, x)] = gap;
    }
    for (int x = w - 1, gap = far; x >= 0; --x) {
      gap = mask.repaint[at(y, x)] != 0 ? 0 : std::min(gap + 1, far);
      along[at(y, x)] = std::min(along[at(y, x)], gap);
    }
  }
  for (int y = 0; y < h; ++y) {
    for (int x = 0; x < w; ++x) {
      int best = far * far;
      for (int dy = -reach; dy <= reach; ++dy) {
        if (y + dy < 0 || y + dy >= h) continue;
        const int dx = along[at(y + dy, x)];
        if (dx < far) best = std::min(best, dx * dx + dy * dy);
      }
      squared[at(y, x)] = best;
    }
  }
  return squared;
}

}  // namespace

PixelMask MakePixelMask(const Image& mask, int width, int height) {
  const Image resized = ResizeLanczos(mask, width, height);
  PixelMask out{width, height, {}};
  out.repaint.resize(resized.rgb.size() / 3);
  for (size_t i = 0; i < out.repaint.size(); ++i) {
    const uint8_t* rgb = &resized.rgb[3 * i];
    // Pillow's weights of 16 bits, rounded.
    const int grey = (rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16;
    out.repaint[i] = grey >= 128 ? 1 : 0;
  }
  return out;
}

HostTensor ToModelInput(const Image& image) {
  HostTensor out({1, image.height, image.width, 3}, DType::kF32);
  float* values = out.Data<float>();
  for (size_t i = 0; i < image.rgb.size(); ++i) {
    values[i] = 2.0f * (static_cast<float>(image.rgb[i]) / 255.0f) - 1.0f;
  }
  return out;
}

HostTensor ToMaskedInput(const Image& image, const PixelMask& mask) {
  CheckSameSize(image, mask);
  HostTensor out = ToModelInput(image);
  float* values = out.Data<float>();
  for (size_t i = 0; i < mask.repaint.size(); ++i) {
    if (mask.repaint[i] != 0) std::fill_n(values + 3 * i, 3, 0.0f);
  }
  return out;
}

HostTensor ToLatentMask(const PixelMask& mask, int factor) {
  const int64_t h = mask.height / factor, w = mask.width / factor;
  HostTensor out({1, 1, h, w}, DType::kF32);
  for (int64_t y = 0; y < h; ++y) {
    for (int64_t x = 0; x < w; ++x) {
      const int64_t pixel = y * factor * mask.width + x * factor;
      out.Data<float>()[y * w + x] = mask.repaint[static_cast<size_t>(pixel)];
    }
  }
  return out;
}

void RestoreUnmasked(const Image& original, const PixelMask& mask, int feather, Image* picture) {
  CheckSameSize(original, mask);
  CheckSameSize(*picture, mask);
  const std::vector<int> squared = SquaredDistances(mask, feather);
  const double reach = feather + 1;
  for (size_t i = 0; i < squared.size(); ++i) {
    const double keep = std::min(std::sqrt(squared[i]) / reach, 1.0);
    for (size_t c = 3 * i; c < 3 * i + 3; ++c) {
      const double mixed = keep * original.rgb[c] + (1 - keep) * picture->rgb[c];
      picture->rgb[c] = static_cast<uint8_t>(std::nearbyint(mixed));
    }
  }
}

}  // namespace fovea
