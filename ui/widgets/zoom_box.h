// A picture that the wheel enlarges, a drag moves and a double click fits again.
#pragma once

#include <string>

#include "ui/frame.h"

namespace fovea {

// In `box`; `live`: it changes, so only its size is kept. Whole multiples show pixels as they are.
void ZoomBox(Frame& frame, const std::string& name, const ImagePtr& image, ImVec2 box, bool live);

}  // namespace fovea
