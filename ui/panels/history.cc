// Create, right: every change of the settings, to go back to.
#include "ui/panels/panels.h"
#include "ui/widgets/controls.h"

namespace fovea {
namespace {

void DrawEntry(Frame& frame, int entry) {
  UiState& state = frame.state;
  const auto& entries = state.history.Entries();
  const auto at = static_cast<size_t>(entry);
  const std::string text =
      entry == 0 ? "where it began" : DescribeChange(entries[at - 1], entries[at]);
  const std::string name = "history." + std::to_string(entry);
  const int cursor = state.history.Cursor();
  const ImU32 colour = entry == cursor  ? frame.look.palette.accent
                       : entry > cursor ? frame.look.palette.faint
                                        : frame.look.palette.text;
  ImGui::PushStyleColor(ImGuiCol_Text, colour);
  if (ImGui::Selectable((text + "##" + name).c_str(), entry == cursor)) {
    state.draft = state.history.GoTo(entry);
  }
  ImGui::PopStyleColor();
  frame.Mark(name);
  Tip(frame, text);
}

}  // namespace

void DrawHistory(Frame& frame) {
  UiState& state = frame.state;
  const int count = static_cast<int>(state.history.Entries().size());
  const int cursor = state.history.Cursor();
  if (count < 2) {
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
  BeginArea("entries");
  {
    const ScopedFont font(frame.look.fonts.small);
    for (int i = count - 1; i >= 0; --i) DrawEntry(frame, i);
  }
  ImGui::EndChild();
  if (state.history.Cursor() != cursor) {
    frame.Send(KeepHistory{state.history.Entries(), state.history.Cursor()});
  }
}

}  // namespace fovea
