#include "ui/colour_maps.h"

#include <algorithm>
#include <cmath>

namespace fovea {
namespace {

constexpr size_t kAnchors = 10;
struct Scale {
  const char* name;
  unsigned colours[kAnchors];
};
constexpr std::array kScales = {
    Scale{"viridis",
          {0x440154, 0x482878, 0x3e4a89, 0x31688e, 0x26828e, 0x1f9e89, 0x35b779, 0x6ece58, 0xb5de2b,
           0xfde725}},
    Scale{"inferno",
          {0x000004, 0x1b0c41, 0x4a0c6b, 0x781c6d, 0xa52c60, 0xcf4446, 0xed6925, 0xfb9b06, 0xf7d13d,
           0xfcffa4}},
    Scale{"magma",
          {0x000004, 0x180f3d, 0x440f76, 0x721f81, 0x9e2f7f, 0xcd4071, 0xf1605d, 0xfd9668, 0xfeca8d,
           0xfcfdbf}},
    Scale{"plasma",
          {0x0d0887, 0x46039f, 0x7201a8, 0x9c179e, 0xbd3786, 0xd8576b, 0xed7953, 0xfb9f3a, 0xfdca26,
           0xf0f921}},
    Scale{"cividis",
          {0x00224e, 0x123570, 0x3b496c, 0x575d6d, 0x707173, 0x8a8678, 0xa59c74, 0xc3b369, 0xe1cc55,
           0xfee838}},
    Scale{"turbo",
          {0x30123b, 0x4662d7, 0x36aaf9, 0x1ae4b6, 0x72fe5e, 0xc7ef34, 0xfaba39, 0xf66b19, 0xcb2a04,
           0x7a0403}},
    Scale{"grey",
          {0x000000, 0x1c1c1c, 0x393939, 0x555555, 0x717171, 0x8e8e8e, 0xaaaaaa, 0xc6c6c6, 0xe3e3e3,
           0xffffff}},
};

using Table = std::array<std::array<uint8_t, 3>, 256>;

Table MakeTable(const Scale& scale) {
  Table table{};
  for (size_t i = 0; i < 256; ++i) {
    const double at = static_cast<double>(i) / 255 * (kAnchors - 1);
    const auto low = std::min(static_cast<size_t>(at), kAnchors - 2);
    const double part = at - static_cast<double>(low);
    for (unsigned c = 0; c < 3; ++c) {
      const double a = scale.colours[low] >> (16 - 8 * c) & 255;
      const double b = scale.colours[low + 1] >> (16 - 8 * c) & 255;
      table[i][c] = static_cast<uint8_t>(std::lround(a + (b - a) * part));
    }
  }
  return table;
}

}  // namespace

const std::vector<std::string>& ColourMapNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Scale& scale : kScales) all.emplace_back(scale.name);
    return all;
  }();
  return names;
}

std::array<uint8_t, 3> MapColour(int scale, float value) {
  static const std::array<Table, kScales.size()> tables = [] {
    std::array<Table, kScales.size()> all{};
    for (size_t i = 0; i < all.size(); ++i) all[i] = MakeTable(kScales[i]);
    return all;
  }();
  const float clamped = value > 0 ? std::min(value, 1.0f) : 0;
  const auto which = static_cast<size_t>(std::clamp(scale, 0, static_cast<int>(tables.size()) - 1));
  return tables[which][static_cast<size_t>(clamped * 255 + 0.5f)];
}

}  // namespace fovea
