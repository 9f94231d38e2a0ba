#include "tensor/cpu/cubic_taps.h"

#include <algorithm>
#include <cmath>

namespace fovea {

std::vector<CubicTap> CubicTaps(int64_t from, int64_t to) {
  constexpr double kA = -0.75;
  const auto near = [](double x) { return ((kA + 2) * x - (kA + 3)) * x * x + 1; };
  const auto far = [](double x) { return ((kA * x - 5 * kA) * x + 8 * kA) * x - 4 * kA; };
  std::vector<CubicTap> taps(static_cast<size_t>(to));
  for (int64_t i = 0; i < to; ++i) {
    const double at =
        (static_cast<double>(i) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5;
    const double floor = std::floor(at), t = at - floor;
    CubicTap& tap = taps[static_cast<size_t>(i)];
    for (int k = 0; k < 4; ++k) {
      tap.index[static_cast<size_t>(k)] =
          std::clamp<int64_t>(static_cast<int64_t>(floor) - 1 + k, 0, from - 1);
    }
    tap.weight = {static_cast<float>(far(1 + t)), static_cast<float>(near(t)),
                  static_cast<float>(near(1 - t)), static_cast<float>(far(2 - t))};
  }
  return taps;
}

}  // namespace fovea
