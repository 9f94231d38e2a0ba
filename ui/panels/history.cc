// Create, right: every change of the settings, to go back to.
#include "ui/panels/panels.h"
#include "ui/widgets/controls.h"

namespace fovea {

void DrawHistory(Frame& frame) {
  UiState& state = frame.state;
  const auto& entries = state.history.Entries();
  if (entries.size() < 2) {
    EmptyState(frame, kIconHistory, "No changes yet",
               "Every change of the settings is kept here. Ctrl+Z goes back, Ctrl+Shift+Z forward, "
               "also after a restart.");
    return;
  }
  if (IconButton(frame, "history.undo", kIconUndo, "Undo (Ctrl+Z)", false,
                 state.history.CanUndo())) {
    state.draft = state.history.Undo();
  }
  ImGui::SameLine(0, 0);
  if (IconButton(frame, "history.redo", kIconRedo, "Redo (Ctrl+Shift+Z)", false,
                 state.history.CanRedo())) {
    state.draft = state.history.Redo();
  }
  ImGui::BeginChild("entries");
  const ScopedFont font(frame.look.fonts.small);
  for (int i = static_cast<int>(entries.size()) - 1; i >= 0; --i) {
    const auto at = static_cast<size_t>(i);
    const std::string text =
        i == 0 ? "where it began" : DescribeChange(entries[at - 1], entries[at]);
    const std::string name = "history." + std::to_string(i);
    const bool current = i == state.history.Cursor();
    const ImU32 colour = current                      ? frame.look.palette.accent
                         : i > state.history.Cursor() ? frame.look.palette.faint
                                                      : frame.look.palette.text;
    ImGui::PushStyleColor(ImGuiCol_Text, colour);
    if (ImGui::Selectable((text + "##" + name).c_str(), current)) {
      state.draft = state.history.GoTo(i);
    }
    ImGui::PopStyleColor();
    frame.Mark(name);
    Tip(frame, text);
  }
  ImGui::EndChild();
}

}  // namespace fovea
