// The window's contents as a whole: bars, tabs, messages, keys, and what happens between frames.
#pragma once

#include "ui/frame.h"

namespace fovea {

// Draws everything into the current ImGui frame and appends commands. `fonts_note` is shown once.
void DrawStudio(Frame& frame);
// Seconds after which it wants to be drawn again although nothing happened; infinite: never.
double NextDraw(const Frame& frame);

}  // namespace fovea
