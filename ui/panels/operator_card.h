// One operator: its arguments, where to assign it, and what it does to the chosen layer.
#pragma once

#include "ui/frame.h"

namespace fovea {

void DrawOperatorCard(Frame& frame);

}  // namespace fovea
