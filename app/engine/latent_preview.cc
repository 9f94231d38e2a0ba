#include "app/engine/latent_preview.h"

#include <algorithm>
#include <cmath>
#include <sstream>

namespace fovea {
namespace {

constexpr double kMemoryPixels = 20000;  // older pictures fade beyond these

// The mean colour, 0 to 1, of the part of a picture that latent pixel (y,x) stands for.
std::array<double, 3> MeanColour(const Image& picture, int64_t y, int64_t x, int64_t rows,
                                 int64_t columns) {
  const int64_t y0 = y * picture.height / rows, y1 = (y + 1) * picture.height / rows;
  const int64_t x0 = x * picture.width / columns, x1 = (x + 1) * picture.width / columns;
  std::array<double, 3> sum{};
  for (int64_t py = y0; py < y1; ++py) {
    for (int64_t px = x0; px < x1; ++px) {
      for (size_t c = 0; c < 3; ++c) {
        sum[c] += picture.rgb[static_cast<size_t>(py * picture.width + px) * 3 + c];
      }
    }
  }
  const double count = static_cast<double>(std::max<int64_t>(1, (y1 - y0) * (x1 - x0))) * 255;
  for (double& each : sum) each /= count;
  return sum;
}

}  // namespace

LatentPreview::LatentPreview(int channels)
    : channels_(channels),
      normal_(static_cast<size_t>((channels + 1) * (channels + 1))),
      right_(static_cast<size_t>(channels + 1) * 3) {}

void LatentPreview::Learn(const Shape& shape, std::span<const float> latents,
                          const Image& picture) {
  const int64_t h = shape[2], w = shape[3], plane = h * w;
  if (shape[1] != channels_ || picture.width < w || picture.height < h) return;
  const double fade = std::min(1.0, kMemoryPixels / (weight_ + static_cast<double>(plane)));
  for (double& each : normal_) each *= fade;
  for (double& each : right_) each *= fade;
  const auto n = static_cast<size_t>(channels_) + 1;
  std::vector<double> row(n, 1.0);
  for (int64_t y = 0; y < h; ++y) {
    for (int64_t x = 0; x < w; ++x) {
      for (size_t c = 0; c + 1 < n; ++c) {
        row[c] = latents[c * static_cast<size_t>(plane) + static_cast<size_t>(y * w + x)];
        if (!std::isfinite(row[c])) return;
      }
      const auto colour = MeanColour(picture, y, x, h, w);
      for (size_t a = 0; a < n; ++a) {
        for (size_t b = 0; b < n; ++b) normal_[a * n + b] += row[a] * row[b];
        for (size_t c = 0; c < 3; ++c) right_[a * 3 + c] += row[a] * colour[c];
      }
    }
  }
  weight_ = weight_ * fade + static_cast<double>(plane);
  Solve();
}

// Gaussian elimination with pivots; a little is added to the diagonal, so that flat latents do not
// make it singular.
void LatentPreview::Solve() {
  const auto n = static_cast<size_t>(channels_) + 1;
  std::vector<double> a = normal_, b = right_;
  for (size_t i = 0; i < n; ++i) a[i * n + i] += 1e-3 * weight_;
  for (size_t i = 0; i < n; ++i) {
    size_t pivot = i;
    for (size_t r = i + 1; r < n; ++r) {
      if (std::abs(a[r * n + i]) > std::abs(a[pivot * n + i])) pivot = r;
    }
    if (std::abs(a[pivot * n + i]) < 1e-12) return;
    for (size_t c = 0; c < n; ++c) std::swap(a[i * n + c], a[pivot * n + c]);
    for (size_t c = 0; c < 3; ++c) std::swap(b[i * 3 + c], b[pivot * 3 + c]);
    for (size_t r = 0; r < n; ++r) {
      if (r == i) continue;
      const double factor = a[r * n + i] / a[i * n + i];
      for (size_t c = i; c < n; ++c) a[r * n + c] -= factor * a[i * n + c];
      for (size_t c = 0; c < 3; ++c) b[r * 3 + c] -= factor * b[i * 3 + c];
    }
  }
  map_.assign(n * 3, 0);
  for (size_t i = 0; i < n; ++i) {
    for (size_t c = 0; c < 3; ++c) map_[i * 3 + c] = b[i * 3 + c] / a[i * n + i];
  }
}

Image LatentPreview::Draw(const Shape& shape, std::span<const float> latents, int i) const {
  Image image;
  if (!Fitted() || shape[1] != channels_) return image;
  const auto plane = static_cast<size_t>(shape[2] * shape[3]);
  const auto channels = static_cast<size_t>(channels_);
  const auto own = latents.subspan(static_cast<size_t>(i) * channels * plane, channels * plane);
  image.width = static_cast<int>(shape[3]);
  image.height = static_cast<int>(shape[2]);
  image.rgb.resize(plane * 3);
  for (size_t p = 0; p < plane; ++p) {
    for (size_t c = 0; c < 3; ++c) {
      double value = map_[channels * 3 + c];
      for (size_t k = 0; k < channels; ++k) value += map_[k * 3 + c] * own[k * plane + p];
      // Not finite: black, and the run itself will say what is wrong.
      const double clamped = std::isfinite(value) ? std::clamp(value, 0.0, 1.0) : 0.0;
      image.rgb[p * 3 + c] = static_cast<uint8_t>(std::lround(clamped * 255));
    }
  }
  return image;
}

std::string LatentPreview::Text() const {
  std::ostringstream text;
  text.precision(9);
  text << channels_;
  for (const double each : map_) text << ' ' << each;
  return text.str();
}

void LatentPreview::Read(const std::string& text) {
  std::istringstream in(text);
  int channels = 0;
  if (!(in >> channels) || channels != channels_) return;
  std::vector<double> map(static_cast<size_t>(channels_ + 1) * 3);
  for (double& each : map) {
    if (!(in >> each) || !std::isfinite(each)) return;
  }
  map_ = std::move(map);
}

}  // namespace fovea
