// A square thumbnail that can be pressed.
#pragma once

#include <string>

#include "ui/frame.h"

namespace fovea {

bool Thumbnail(Frame& frame, const std::string& name, const PictureView& picture, float side,
               bool selected);

}  // namespace fovea
