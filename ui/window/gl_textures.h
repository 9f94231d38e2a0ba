// Pictures as OpenGL textures, uploaded when first drawn, dropped when no longer drawn.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "ui/frame.h"

namespace fovea {

class GlTextures final : public Textures {
 public:
  ~GlTextures() override;
  ImTextureID Get(const ImagePtr& image) override;
  // After each frame: frees those that were not drawn for a while.
  void EndFrame();

 private:
  struct Entry {
    ImagePtr image;  // kept, so that its address stays its own
    unsigned texture = 0;
    int64_t drawn = 0;  // frame
  };
  std::map<const Image*, Entry> entries_;
  int64_t frame_ = 0;
};

}  // namespace fovea
