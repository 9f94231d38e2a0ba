// Words drawn into pictures, in a font of the system: letters of any script that it has.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/pictures/image.h"

namespace fovea {

class LabelText {
 public:
  // `size`: height of a line in pixels. Throws kUnsupported where no font is installed.
  explicit LabelText(int size);
  ~LabelText();
  LabelText(const LabelText&) = delete;
  LabelText& operator=(const LabelText&) = delete;

  int LineHeight() const;
  int Width(std::string_view utf8) const;
  // At most `lines` lines of at most `width` pixels; what does not fit ends in an ellipsis.
  std::vector<std::string> Wrap(std::string_view utf8, int width, int lines) const;
  // Black on what is there; (x, y) is the upper left corner. What lies outside is left out.
  void Draw(std::string_view utf8, int x, int y, Image* image) const;

 private:
  struct Font;
  std::unique_ptr<Font> font_;
};

}  // namespace fovea
