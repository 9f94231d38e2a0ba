#include "models/vit/vit_positions.h"

#include <algorithm>
#include <cmath>

#include "tensor/error.h"

namespace fovea {
namespace {

// What one output position is made of, along one axis.
struct Tap {
  std::vector<int64_t> at;
  std::vector<double> weight;
};

double Cubic(double x, double a) {
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

// Four neighbours, clamped at the borders.
Tap CubicTap(int64_t i, int64_t in, int64_t out) {
  const double source =
      (static_cast<double>(i) + 0.5) * static_cast<double>(in) / static_cast<double>(out) - 0.5;
  const double base = std::floor(source);
  Tap tap;
  for (int k = -1; k <= 2; ++k) {
    tap.at.push_back(std::clamp<int64_t>(static_cast<int64_t>(base) + k, 0, in - 1));
    tap.weight.push_back(Cubic(source - base - k, -0.75));
  }
  return tap;
}

// Cut at the borders and normalised; widens when shrinking.
Tap AntialiasedTap(int64_t i, int64_t in, int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double stretch = std::max(scale, 1.0), support = 2 * stretch;
  const double center = scale * (static_cast<double>(i) + 0.5);
  const int64_t first = std::max<int64_t>(static_cast<int64_t>(center - support + 0.5), 0);
  const int64_t end = std::min<int64_t>(static_cast<int64_t>(center + support + 0.5), in);
  Tap tap;
  double sum = 0;
  for (int64_t k = first; k < end; ++k) {
    tap.at.push_back(k);
    tap.weight.push_back(Cubic((static_cast<double>(k) - center + 0.5) / stretch, -0.5));
    sum += tap.weight.back();
  }
  for (double& weight : tap.weight) weight /= sum;
  return tap;
}

Tap LinearTap(int64_t i, int64_t in, int64_t out) {
  const double source =
      (static_cast<double>(i) + 0.5) * static_cast<double>(in) / static_cast<double>(out) - 0.5;
  const double inside = std::max(source, 0.0);
  const int64_t first = std::min(static_cast<int64_t>(inside), in - 1);
  const double part = inside - static_cast<double>(first);
  return {{first, std::min(first + 1, in - 1)}, {1 - part, part}};
}

using MakeTap = Tap (*)(int64_t i, int64_t in, int64_t out);

// in (lines,n,c) -> out (lines,m,c)
std::vector<double> ResizeAxis(const std::vector<double>& in, int64_t lines, int64_t n, int64_t c,
                               int64_t m, MakeTap make) {
  std::vector<double> out(static_cast<size_t>(lines * m * c));
  for (int64_t i = 0; i < m; ++i) {
    const Tap tap = make(i, n, m);
    for (int64_t line = 0; line < lines; ++line) {
      double* to = out.data() + (line * m + i) * c;
      for (size_t k = 0; k < tap.at.size(); ++k) {
        const double* from = in.data() + (line * n + tap.at[k]) * c;
        for (int64_t x = 0; x < c; ++x) to[x] += tap.weight[k] * from[x];
      }
    }
  }
  return out;
}

}  // namespace

void ResizePositions(std::span<const float> in, int64_t h, int64_t w, int64_t c, VitResize resize,
                     int64_t out_h, int64_t out_w, std::span<float> out) {
  ENSURE(static_cast<int64_t>(in.size()) == h * w * c);
  ENSURE(static_cast<int64_t>(out.size()) == out_h * out_w * c);
  const MakeTap make = resize == VitResize::kBicubic ? CubicTap : AntialiasedTap;
  std::vector<double> values(in.begin(), in.end());
  if (w != out_w) values = ResizeAxis(values, h, w, c, out_w, make);
  if (h != out_h) values = ResizeAxis(values, 1, h, out_w * c, out_h, make);
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(values[i]);
}

void ResizeBilinearMaps(std::span<const float> in, int64_t maps, int64_t h, int64_t w,
                        int64_t out_h, int64_t out_w, std::span<float> out) {
  ENSURE(static_cast<int64_t>(in.size()) == maps * h * w);
  ENSURE(static_cast<int64_t>(out.size()) == maps * out_h * out_w);
  std::vector<double> values(in.begin(), in.end());
  values = ResizeAxis(values, maps * h, w, 1, out_w, LinearTap);
  values = ResizeAxis(values, maps, h, out_w, out_h, LinearTap);
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(values[i]);
}

}  // namespace fovea
