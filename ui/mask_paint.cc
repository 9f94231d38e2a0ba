#include "ui/mask_paint.h"

#include <algorithm>
#include <cmath>

namespace fovea {
namespace {

constexpr int kMostCells = 384;

size_t At(const MaskPaint& mask, int x, int y) {
  return static_cast<size_t>(y) * static_cast<size_t>(mask.width) + static_cast<size_t>(x);
}

}  // namespace

MaskPaint EmptyMask(int picture_width, int picture_height) {
  MaskPaint mask;
  const int longer = std::max({1, picture_width, picture_height});
  const int cells = std::min(longer, kMostCells);
  const auto scaled = [&](int side) {
    return std::max(1, static_cast<int>(int64_t{side} * cells / longer));
  };
  mask.width = scaled(picture_width);
  mask.height = scaled(picture_height);
  mask.white.assign(static_cast<size_t>(mask.width) * static_cast<size_t>(mask.height), 0);
  return mask;
}

MaskPaint MaskOf(const Image& image, int picture_width, int picture_height) {
  MaskPaint mask = EmptyMask(picture_width, picture_height);
  if (image.width < 1 || image.height < 1) return mask;
  for (int y = 0; y < mask.height; ++y) {
    for (int x = 0; x < mask.width; ++x) {
      const auto column = (int64_t{2} * x + 1) * image.width / (2 * mask.width);
      const auto row = (int64_t{2} * y + 1) * image.height / (2 * mask.height);
      const uint8_t* pixel = image.rgb.data() + (row * image.width + column) * 3;
      mask.white[At(mask, x, y)] = pixel[0] + pixel[1] + pixel[2] >= 3 * 128 ? 1 : 0;
    }
  }
  return mask;
}

Image ImageOf(const MaskPaint& mask) {
  Image image{mask.width, mask.height, std::vector<uint8_t>(mask.white.size() * 3)};
  for (size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = mask.white[i / 3] != 0 ? 255 : 0;
  return image;
}

bool IsEmpty(const MaskPaint& mask) {
  return std::find(mask.white.begin(), mask.white.end(), 1) == mask.white.end();
}

void PaintStroke(float x0, float y0, float x1, float y1, float radius, bool white,
                 MaskPaint* mask) {
  const auto first = [&](float a, float b) {
    return std::max(0, static_cast<int>(std::floor(std::min(a, b) - radius)));
  };
  const auto last = [&](float a, float b, int side) {
    return std::min(side - 1, static_cast<int>(std::ceil(std::max(a, b) + radius)));
  };
  const float dx = x1 - x0, dy = y1 - y0, length = dx * dx + dy * dy;
  for (int y = first(y0, y1); y <= last(y0, y1, mask->height); ++y) {
    for (int x = first(x0, x1); x <= last(x0, x1, mask->width); ++x) {
      const float px = static_cast<float>(x) + 0.5f - x0, py = static_cast<float>(y) + 0.5f - y0;
      const float along = length > 0 ? std::clamp((px * dx + py * dy) / length, 0.0f, 1.0f) : 0;
      const float ex = px - along * dx, ey = py - along * dy;
      if (ex * ex + ey * ey <= radius * radius) mask->white[At(*mask, x, y)] = white ? 1 : 0;
    }
  }
}

void InvertMask(MaskPaint* mask) {
  for (uint8_t& each : mask->white) each ^= 1;
}

}  // namespace fovea
