// What differs between one frame's draw data and the last one's, so that only that is drawn again:
// with OpenGL in software, pixels are what a frame costs.
#pragma once

#include <cstdint>
#include <vector>

#include <imgui.h>

namespace fovea {

// In pixels of the framebuffer, whole, x and y from the upper left corner.
struct PixelRect {
  int left = 0, top = 0, right = 0, bottom = 0;
  int64_t Area() const { return int64_t{right - left} * (bottom - top); }
};

class DrawDamage {
 public:
  // Rectangles that cover every triangle that came or went, disjoint, few, within width x height;
  // none: the picture is the same. Triangles are compared with all that colours them: vertices,
  // texture, clipping and the window they belong to, but not their order within it.
  std::vector<PixelRect> Update(const ImDrawData& data, int width, int height);
  void Reset() { whole_ = true; }  // the next update is all of the picture

 private:
  struct Piece {
    uint64_t hash;
    float left, top, right, bottom;
  };
  std::vector<Piece> last_, now_;  // sorted by hash
  int width_ = 0, height_ = 0;
  bool whole_ = true;
};

// Clips all that `data` draws to the rectangles.
void ClipTo(const std::vector<PixelRect>& rects, ImDrawData* data);

}  // namespace fovea
