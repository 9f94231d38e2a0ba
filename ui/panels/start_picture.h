// A picture to start from: in the settings, where it is chosen, and on the canvas, where the part
// that is made anew is painted.
#pragma once

#include "ui/frame.h"

namespace fovea {

// Takes over what the desk answered; once a frame, before the panels.
void TakeGiven(Frame& frame);
void DrawStartPicture(Frame& frame);  // in the settings
void DrawMaskTools(Frame& frame);     // above the canvas
void DrawMaskCanvas(Frame& frame);    // over what is left of the room

}  // namespace fovea
