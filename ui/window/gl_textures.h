// Pictures as OpenGL textures, uploaded when first drawn, dropped when no longer drawn.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "ui/frame.h"

namespace fovea {

class GlTextures final : public Textures {
  enum class Kind : uint8_t { kSmooth, kSharp, kPassing };

 public:
  ~GlTextures() override;
  ImTextureID Get(const ImagePtr& image) override { return Upload(image, Kind::kSmooth); }
  ImTextureID Sharp(const ImagePtr& image) override { return Upload(image, Kind::kSharp); }
  ImTextureID Passing(const ImagePtr& image) override { return Upload(image, Kind::kPassing); }
  // After each frame: frees those that were not drawn for a while.
  void EndFrame();

 private:
  struct Entry {
    ImagePtr image;  // kept, so that its address stays its own
    unsigned texture = 0;
    int64_t drawn = 0;  // frame
  };
  ImTextureID Upload(const ImagePtr& image, Kind kind);
  std::map<std::pair<const Image*, Kind>, Entry> entries_;
  int64_t frame_ = 0;
};

}  // namespace fovea
