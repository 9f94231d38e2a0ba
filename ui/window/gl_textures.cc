#include "ui/window/gl_textures.h"

// GLFW brings the declarations of what OpenGL has beyond its first version.
#define GL_GLEXT_PROTOTYPES
#define GLFW_INCLUDE_GLEXT
#include <GLFW/glfw3.h>

namespace fovea {
namespace {

constexpr int64_t kKeepFrames = 300;

}  // namespace

GlTextures::~GlTextures() {
  for (const auto& [image, entry] : entries_) glDeleteTextures(1, &entry.texture);
}

ImTextureID GlTextures::Get(const ImagePtr& image) {
  Entry& entry = entries_[image.get()];
  entry.drawn = frame_;
  if (entry.image == nullptr) {
    entry.image = image;
    glGenTextures(1, &entry.texture);
    glBindTexture(GL_TEXTURE_2D, entry.texture);
    glPixelStorei(GL_UNPACK_ALIGNMENT, 1);
    // Large pictures are usually drawn smaller than they are.
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_LINEAR_MIPMAP_LINEAR);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MAG_FILTER, GL_LINEAR);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_WRAP_S, GL_CLAMP_TO_EDGE);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_WRAP_T, GL_CLAMP_TO_EDGE);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGB8, image->width, image->height, 0, GL_RGB,
                 GL_UNSIGNED_BYTE, image->rgb.data());
    glGenerateMipmap(GL_TEXTURE_2D);
  }
  return TextureId(entry.texture);
}

void GlTextures::EndFrame() {
  for (auto each = entries_.begin(); each != entries_.end();) {
    if (frame_ - each->second.drawn > kKeepFrames) {
      glDeleteTextures(1, &each->second.texture);
      each = entries_.erase(each);
    } else {
      ++each;
    }
  }
  ++frame_;
}

}  // namespace fovea
