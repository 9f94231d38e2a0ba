// The panels: each is a pure function of what it is shown, in a file of its own.
#pragma once

#include "ui/frame.h"

namespace fovea {

void DrawSettings(Frame& frame);   // left of Create: what to draw, and how
void DrawCanvas(Frame& frame);     // middle of Create: the picture in the making, the last ones
void DrawQueue(Frame& frame);      // right of Create: jobs
void DrawHistory(Frame& frame);    // right of Create: earlier settings
void DrawAttention(Frame& frame);  // layers, operators, the plan
void DrawCompare(Frame& frame);    // two pictures beside each other
void DrawInspect(Frame& frame);    // what heads look at
void DrawGallery(Frame& frame);    // every picture

}  // namespace fovea
