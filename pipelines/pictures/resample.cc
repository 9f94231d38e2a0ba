#include "pipelines/pictures/resample.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include "tensor/error.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

constexpr int kPrecision = 22;  // bits of a weight after the point
constexpr int kChannels = 3;

double Sinc(double x) {
  return x == 0 ? 1 : std::sin(std::numbers::pi * x) / (std::numbers::pi * x);
}

double Lanczos(double x) {
  return -3 <= x && x < 3 ? Sinc(x) * Sinc(x / 3) : 0;
}

double Triangle(double x) {
  return std::max(1 - std::abs(x), 0.0);
}

double Cubic(double x) {
  constexpr double kA = -0.5;
  x = std::abs(x);
  if (x < 1) return ((kA + 2) * x - (kA + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * kA;
  return 0;
}

double Box(double x) {
  return -0.5 < x && x <= 0.5 ? 1 : 0;
}

double Hamming(double x) {
  x = std::abs(x);
  return x >= 1 ? 0 : Sinc(x) * (0.54 + 0.46 * std::cos(std::numbers::pi * x));
}

struct Kernel {
  double (*weight)(double x);
  double support;
};

Kernel KernelOf(ResampleFilter filter) {
  switch (filter) {
    case ResampleFilter::kLanczos:
      return {Lanczos, 3};
    case ResampleFilter::kBilinear:
      return {Triangle, 1};
    case ResampleFilter::kBicubic:
      return {Cubic, 2};
    case ResampleFilter::kBox:
      return {Box, 0.5};
    case ResampleFilter::kHamming:
      return {Hamming, 1};
    case ResampleFilter::kNearest:
      break;
  }
  ENSURE(false, "a filter without a kernel");
  return {};
}

// What an output pixel is made of: inputs from `first` on, times weights.
struct Tap {
  int first = 0;
  std::vector<int32_t> weights;
};

std::vector<Tap> MakeTaps(int in, int out, const Kernel& kernel) {
  const double scale = static_cast<double>(in) / out, filter_scale = std::max(scale, 1.0);
  const double support = kernel.support * filter_scale;
  std::vector<Tap> taps(static_cast<size_t>(out));
  std::vector<double> exact;
  for (int i = 0; i < out; ++i) {
    const double center = (i + 0.5) * scale;
    const int first = std::max(static_cast<int>(center - support + 0.5), 0);
    const int end = std::min(static_cast<int>(center + support + 0.5), in);
    exact.clear();
    double sum = 0;
    for (int k = first; k < end; ++k) {
      exact.push_back(kernel.weight((k - center + 0.5) * (1 / filter_scale)));
      sum += exact.back();
    }
    Tap& tap = taps[static_cast<size_t>(i)];
    tap.first = first;
    for (double weight : exact) {
      if (sum != 0) weight /= sum;
      // Half away from zero.
      const double scaled = weight * (1 << kPrecision);
      tap.weights.push_back(static_cast<int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5));
    }
  }
  return taps;
}

uint8_t Rounded(int64_t sum) {
  return static_cast<uint8_t>(std::clamp<int64_t>(sum >> kPrecision, 0, 255));
}

// One side: lines of `in` pixels, `step` bytes apart, become lines of taps.size() pixels.
void ResizeLine(const uint8_t* in, size_t in_step, const std::vector<Tap>& taps, uint8_t* out,
                size_t out_step) {
  for (const Tap& tap : taps) {
    int64_t sums[kChannels];
    std::fill(std::begin(sums), std::end(sums), int64_t{1} << (kPrecision - 1));
    const uint8_t* from = in + static_cast<size_t>(tap.first) * in_step;
    for (const int32_t weight : tap.weights) {
      for (int c = 0; c < kChannels; ++c) sums[c] += int64_t{from[c]} * weight;
      from += in_step;
    }
    for (int c = 0; c < kChannels; ++c) out[c] = Rounded(sums[c]);
    out += out_step;
  }
}

size_t RowBytes(int width) {
  return size_t{kChannels} * static_cast<size_t>(width);
}

Image Empty(int width, int height) {
  Image image{width, height, {}};
  image.rgb.resize(RowBytes(width) * static_cast<size_t>(height));
  return image;
}

Image WithWidth(const Image& image, int width, const Kernel& kernel) {
  if (width == image.width) return image;
  const std::vector<Tap> taps = MakeTaps(image.width, width, kernel);
  Image out = Empty(width, image.height);
  ParallelFor(image.height, 1, [&](int64_t begin, int64_t end) {
    for (auto y = static_cast<size_t>(begin); y < static_cast<size_t>(end); ++y) {
      ResizeLine(image.rgb.data() + y * RowBytes(image.width), kChannels, taps,
                 out.rgb.data() + y * RowBytes(width), kChannels);
    }
  });
  return out;
}

Image WithHeight(const Image& image, int height, const Kernel& kernel) {
  if (height == image.height) return image;
  const std::vector<Tap> taps = MakeTaps(image.height, height, kernel);
  Image out = Empty(image.width, height);
  ParallelFor(image.width, 1, [&](int64_t begin, int64_t end) {
    for (auto x = static_cast<size_t>(begin); x < static_cast<size_t>(end); ++x) {
      ResizeLine(image.rgb.data() + x * kChannels, RowBytes(image.width), taps,
                 out.rgb.data() + x * kChannels, RowBytes(image.width));
    }
  });
  return out;
}

Image Nearest(const Image& image, int width, int height) {
  Image out = Empty(width, height);
  const double across = static_cast<double>(image.width) / width;
  const double down = static_cast<double>(image.height) / height;
  for (int y = 0; y < height; ++y) {
    const auto row = static_cast<size_t>((y + 0.5) * down) * RowBytes(image.width);
    for (int x = 0; x < width; ++x) {
      const size_t from = row + kChannels * static_cast<size_t>((x + 0.5) * across);
      const size_t to =
          static_cast<size_t>(y) * RowBytes(width) + kChannels * static_cast<size_t>(x);
      std::copy_n(image.rgb.data() + from, kChannels, out.rgb.data() + to);
    }
  }
  return out;
}

}  // namespace

Image Resize(const Image& image, int width, int height, ResampleFilter filter) {
  ENSURE(image.width > 0 && image.height > 0 && width > 0 && height > 0);
  ENSURE(image.rgb.size() == RowBytes(image.width) * static_cast<size_t>(image.height));
  if (filter == ResampleFilter::kNearest) return Nearest(image, width, height);
  const Kernel kernel = KernelOf(filter);
  if (height < image.height && image.height - height > 2 * (image.width - width)) {
    return WithWidth(WithHeight(image, height, kernel), width, kernel);
  }
  return WithHeight(WithWidth(image, width, kernel), height, kernel);
}

Image ResizeLanczos(const Image& image, int width, int height) {
  return Resize(image, width, height, ResampleFilter::kLanczos);
}

}  // namespace fovea
