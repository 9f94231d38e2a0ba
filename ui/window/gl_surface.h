// The window's picture as it was last drawn, kept in OpenGL: swapping leaves the window's own
// buffers undefined, and only what changed is drawn again.
#pragma once

namespace fovea {

class GlSurface {
 public:
  ~GlSurface();
  // What is drawn from here on goes to the surface. True: its size changed, and nothing is in it.
  // Throws std::runtime_error where OpenGL cannot do it.
  bool Begin(int width, int height);
  void End();  // copies it to the window's back buffer, which is then drawn to again

 private:
  void Free();
  unsigned framebuffer_ = 0, texture_ = 0;
  int width_ = 0, height_ = 0;
};

}  // namespace fovea
