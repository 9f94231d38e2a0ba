// Colours of maps: Matplotlib's scales, from their anchors.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <imgui.h>

namespace fovea {

const std::vector<std::string>& ColourMapNames();  // "viridis" first
// value from 0 to 1, clamped; NaN is 0.
std::array<uint8_t, 3> MapColour(int scale, float value);

}  // namespace fovea
