// Which controls does Tab visit? All of them, in the order of reading; Dear ImGui's own walk stops
// at fields for text alone.
#pragma once

#include <vector>

#include <imgui.h>

namespace fovea {

struct TabWalk {
  std::vector<ImGuiID> order, last;  // of this frame, and of the last one
  ImGuiID wanted = 0;                // gets the keyboard when it is drawn
};

// Before the controls of a frame: reads Tab and Shift+Tab.
void BeginTabWalk(TabWalk* walk);
// The last item of ImGui is a control. True: the keyboard is on it.
bool VisitItem(TabWalk* walk);

}  // namespace fovea
