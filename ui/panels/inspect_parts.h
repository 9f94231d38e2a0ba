// The three parts of the Inspect panel.
#pragma once

#include "ui/frame.h"

namespace fovea {

void DrawInspectList(Frame& frame);   // left: what is looked at, layers and heads
void DrawInspectTiles(Frame& frame);  // right: small multiples and pins
// The diffusion model's view of a picture of the gallery at a step; < 0: a late one.
void AskDiffusion(Frame& frame, int64_t picture, int step);
ImU32 PinColour(size_t pin);

}  // namespace fovea
