// Turns a scene into a picture with exact masks at any resolution.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "tools/scenes/scene.h"

namespace fovea::scenes {

// What the picture shows of one object, in pixels.
struct Trace {
  std::array<int, 4> box{};  // x0, y0 inclusive, x1, y1 exclusive
  float center_x = 0, center_y = 0;
  float depth = 0;    // along the viewing direction
  float visible = 0;  // share of its outline not hidden by others
  int pixels = 0;
};

struct Picture {
  int size = 0;
  std::vector<uint8_t> rgb;   // size * size * 3, sRGB
  std::vector<uint8_t> mask;  // size * size, 0 background, else 1-based object
  std::vector<Trace> traces;  // one an object
};

Picture RenderScene(const Scene& scene, int size);

}  // namespace fovea::scenes
