// Which controls does Tab visit? All of them, in the order of reading.
#pragma once

namespace fovea {

// Before the controls of a frame.
void WalkByTab();

}  // namespace fovea
