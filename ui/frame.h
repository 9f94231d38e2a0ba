// Everything a panel sees: it reads a snapshot, changes the window's state, appends commands.
#pragma once

#include <map>
#include <string>

#include <imgui.h>

#include "ui/command.h"
#include "ui/imgui_names.h"
#include "ui/snapshot.h"
#include "ui/state.h"
#include "ui/theme.h"

namespace fovea {

// Pictures as textures; the window's keeps those that were drawn lately.
class Textures {
 public:
  virtual ~Textures() = default;
  virtual ImTextureID Get(const ImagePtr& image) = 0;
  // Enlarged pixels stay squares.
  // As Sharp, of a picture that the next frame will not have.
  virtual ImTextureID Passing(const ImagePtr& image) { return Get(image); }
  virtual ImTextureID Sharp(const ImagePtr& image) { return Get(image); }
};

// Where the controls stand, by name: tests press them without knowing the layout.
struct WidgetRect {
  float x = 0, y = 0, width = 0, height = 0;
  bool focused = false;  // the keyboard is on it
};
using WidgetMap = std::map<std::string, WidgetRect>;

struct Frame {
  const Snapshot& snapshot;
  UiState& state;
  StudioCommands& commands;
  Textures& textures;
  const Look& look;
  WidgetMap* widgets = nullptr;  // null: nobody asks
  bool animates = false;         // something moves: draw again soon

  void Send(StudioCommand command) { commands.push_back(std::move(command)); }
  // The last item of ImGui is the control of this name.
  void Mark(const std::string& name) {
    const bool focused = VisitItem(&state.walk);
    if (widgets == nullptr) return;
    const ImVec2 low = ImGui::GetItemRectMin(), high = ImGui::GetItemRectMax();
    if (!ImGui::IsItemVisible()) return;
    (*widgets)[name] = {low.x, low.y, high.x - low.x, high.y - low.y, focused};
  }
};

}  // namespace fovea
