// What the settings would take, why they cannot run, and the button that runs them.
#pragma once

#include "ui/frame.h"

namespace fovea {

float RunCardHeight(const Frame& frame);
void DrawRunCard(Frame& frame);
// Whether the settings as drawn may run; also what Ctrl+Enter asks.
bool MayRun(const Frame& frame);
void Run(Frame& frame);

}  // namespace fovea
