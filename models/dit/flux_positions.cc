#include "models/dit/flux_positions.h"

#include <cmath>

#include "tensor/machine/threads.h"

namespace fovea {
namespace {

constexpr double kBase = 10000;

}  // namespace

std::vector<float> FluxGridIds(int64_t h, int64_t w) {
  std::vector<float> ids;
  ids.reserve(static_cast<size_t>(3 * h * w));
  for (int64_t y = 0; y < h; ++y) {
    for (int64_t x = 0; x < w; ++x) {
      ids.insert(ids.end(), {0, static_cast<float>(y), static_cast<float>(x)});
    }
  }
  return ids;
}

bool IsFluxGrid(std::span<const float> ids, int64_t h, int64_t w) {
  if (h < 1 || w < 1 || static_cast<int64_t>(ids.size()) != 3 * h * w) return false;
  const auto at = [&](int64_t token, int64_t axis) {
    return ids[static_cast<size_t>(3 * token + axis)];
  };
  for (int64_t i = 0; i < h * w; ++i) {
    if (at(i, 0) != at(0, 0) || at(i, 1) != at(i / w * w, 1) || at(i, 2) != at(i % w, 2)) {
      return false;
    }
    // Neighbours differ, or they would be one place.
    if (i % w > 0 && at(i, 2) == at(i - 1, 2)) return false;
    if (i >= w && at(i, 1) == at(i - w, 1)) return false;
  }
  return true;
}

std::optional<std::pair<int64_t, int64_t>> FluxGridOf(std::span<const float> ids) {
  const auto tokens = static_cast<int64_t>(ids.size() / 3);
  int64_t w = 0;
  while (w < tokens && ids[static_cast<size_t>(3 * w + 1)] == ids[1]) ++w;
  if (w == 0 || tokens % w != 0 || !IsFluxGrid(ids, tokens / w, w)) return std::nullopt;
  return std::pair{tokens / w, w};
}

HostTensor FluxRotation(std::span<const float> ids, const std::array<int64_t, 3>& axes,
                        double ntk) {
  const auto tokens = static_cast<int64_t>(ids.size() / 3);
  const int64_t d = axes[0] + axes[1] + axes[2];
  std::vector<double> frequencies;
  for (const int64_t axis : axes) {
    for (int64_t k = 0; k < axis; k += 2) {
      frequencies.push_back(
          1.0 / std::pow(kBase * ntk, static_cast<double>(k) / static_cast<double>(axis)));
    }
  }
  HostTensor tables({tokens, 2, d}, DType::kF32);
  float* all = tables.Data<float>();
  ParallelFor(tokens, 64, [&](int64_t begin, int64_t end) {
    for (int64_t token = begin; token < end; ++token) {
      float *keep = all + token * 2 * d, *cross = keep + d;
      int64_t channel = 0;
      for (size_t axis = 0; axis < axes.size(); ++axis) {
        const double position = static_cast<double>(ids[static_cast<size_t>(3 * token) + axis]);
        for (int64_t k = 0; k < axes[axis]; k += 2, channel += 2) {
          const double angle = position * frequencies[static_cast<size_t>(channel / 2)];
          const auto sine = static_cast<float>(std::sin(angle));
          keep[channel] = keep[channel + 1] = static_cast<float>(std::cos(angle));
          cross[channel] = -sine;
          cross[channel + 1] = sine;
        }
      }
    }
  });
  return tables;
}

}  // namespace fovea
