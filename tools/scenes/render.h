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
  int width = 0, height = 0;
  std::vector<uint8_t> rgb;   // height * width * 3, sRGB
  std::vector<uint8_t> mask;  // height * width, 0 background, else 1-based object
  std::vector<Trace> traces;  // one an object
};

// `width` over `height` should be the aspect that the scene was made for; pixels are square anyway.
Picture RenderScene(const Scene& scene, int width, int height);

inline Picture RenderScene(const Scene& scene, int size) {
  return RenderScene(scene, size, size);
}

}  // namespace fovea::scenes
