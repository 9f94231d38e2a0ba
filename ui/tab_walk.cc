#include "ui/tab_walk.h"

#include <imgui.h>
#include <imgui_internal.h>

namespace fovea {

// Dear ImGui 1.86 to 1.89.3 stop at fields for text and sliders only; later ones at everything. A
// request that comes from code, instead of from the key, stops at every control.
void WalkByTab() {
#if IMGUI_VERSION_NUM >= 18600 && IMGUI_VERSION_NUM < 18940
  ImGuiContext& g = *ImGui::GetCurrentContext();
  if (g.NavMoveScoringItems && (g.NavMoveFlags & ImGuiNavMoveFlags_Tabbing) != 0) {
    g.NavMoveFlags |= ImGuiNavMoveFlags_FocusApi;
  }
#endif
}

}  // namespace fovea
