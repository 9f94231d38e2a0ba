#include "ui/window/gl_textures.h"

#include <algorithm>

// GLFW brings the declarations of what OpenGL has beyond its first version.
#define GL_GLEXT_PROTOTYPES
#define GLFW_INCLUDE_GLEXT
#include <GLFW/glfw3.h>

namespace fovea {
namespace {

constexpr int64_t kKeepFrames = 300;
constexpr int kLarge = 320;  // pixels a side; smaller pictures are not shrunk by much

}  // namespace

GlTextures::~GlTextures() {
  for (const auto& [image, entry] : entries_) glDeleteTextures(1, &entry.texture);
}

ImTextureID GlTextures::Upload(const ImagePtr& image, Kind kind) {
  Entry& entry = entries_[{image.get(), kind}];
  const bool sharp = kind != Kind::kSmooth;
  entry.drawn = frame_;
  if (entry.image == nullptr) {
    entry.image = image;
    glGenTextures(1, &entry.texture);
    glBindTexture(GL_TEXTURE_2D, entry.texture);
    glPixelStorei(GL_UNPACK_ALIGNMENT, 1);
    // Large pictures are usually drawn smaller than they are.
    const bool levels = !sharp && std::max(image->width, image->height) > kLarge;
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER,
                    levels ? GL_LINEAR_MIPMAP_LINEAR : GL_LINEAR);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MAG_FILTER, sharp ? GL_NEAREST : GL_LINEAR);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_WRAP_S, GL_CLAMP_TO_EDGE);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_WRAP_T, GL_CLAMP_TO_EDGE);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGB8, image->width, image->height, 0, GL_RGB,
                 GL_UNSIGNED_BYTE, image->rgb.data());
    if (levels) glGenerateMipmap(GL_TEXTURE_2D);
  }
  return TextureId(entry.texture);
}

void GlTextures::EndFrame() {
  for (auto each = entries_.begin(); each != entries_.end();) {
    // A name that is given away again must not be on the screen any more: two frames later.
    const int64_t keep = each->first.second == Kind::kPassing ? 2 : kKeepFrames;
    if (frame_ - each->second.drawn > keep) {
      glDeleteTextures(1, &each->second.texture);
      each = entries_.erase(each);
    } else {
      ++each;
    }
  }
  ++frame_;
}

}  // namespace fovea
