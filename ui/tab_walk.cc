#include "ui/tab_walk.h"

#include <algorithm>
#include <utility>

#include <imgui_internal.h>

#include "ui/imgui_names.h"

namespace fovea {

void BeginTabWalk(TabWalk* walk) {
  walk->last = std::exchange(walk->order, {});
  const ImGuiIO& io = ImGui::GetIO();
  ImGuiContext& g = *ImGui::GetCurrentContext();
  const bool popup =
      ImGui::IsPopupOpen("", ImGuiPopupFlags_AnyPopupId | ImGuiPopupFlags_AnyPopupLevel);
  if (popup || io.KeyCtrl || io.KeyAlt || walk->last.empty() || !Pressed(NamedKey(ImGuiKey_Tab))) {
    return;
  }
  const auto& items = walk->last;
  const auto found = std::find(items.begin(), items.end(), g.NavId);
  const size_t count = items.size();
  size_t at = found == items.end() ? (io.KeyShift ? 0 : count - 1)
                                   : static_cast<size_t>(found - items.begin());
  at = io.KeyShift ? (at + count - 1) % count : (at + 1) % count;
  walk->wanted = items[at];
  ImGui::NavMoveRequestCancel();
}

bool VisitItem(TabWalk* walk) {
  const ImGuiID id = ImGui::GetItemID();
  ImGuiContext& g = *ImGui::GetCurrentContext();
  if (id == 0 || (g.LastItemData.InFlags & (ImGuiItemFlags_NoNav | ImGuiItemFlags_Disabled)) != 0) {
    return false;
  }
  walk->order.push_back(id);
  if (walk->wanted == id) {
    walk->wanted = 0;
    ImGui::ClearActiveID();
    ImGui::SetFocusID(id, ImGui::GetCurrentWindow());
    g.NavDisableHighlight = false;
    ImGui::SetScrollHereY();
  }
  return g.NavId == id;
}

}  // namespace fovea
