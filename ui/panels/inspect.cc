// Inspect, middle: the picture with the map of the place under the mouse, words, steps.
#include <algorithm>
#include <cmath>

#include "ui/inspect_maps.h"
#include "ui/panels/inspect_parts.h"
#include "ui/panels/panels.h"
#include "ui/widgets/controls.h"

namespace fovea {
namespace {

// A chip that shows something while the mouse is on it, and keeps it when it is pressed.
void ShowChip(Frame& frame, const std::string& name, const std::string& text, float mass, int index,
              int* over, int* pinned) {
  const Palette& p = frame.look.palette;
  const bool on = *pinned == index;
  SameLineIf(frame, ImGui::CalcTextSize(text.c_str()).x + frame.look.Px(14));
  const ImVec2 at = ImGui::GetCursorScreenPos();
  // The more weight, the stronger its ground.
  const float strength = std::clamp(mass, 0.0f, 1.0f);
  Chip(frame, text, on ? WithAlpha(p.accent, 0.45f) : WithAlpha(p.accent, 0.10f + 0.5f * strength),
       p.text);
  const ImVec2 size = ImGui::GetItemRectSize();
  ImGui::SetCursorScreenPos(at);
  if (ImGui::InvisibleButton(name.c_str(), size)) *pinned = on ? -1 : index;
  frame.Mark(name);
  if (ImGui::IsItemHovered()) *over = index;
}

void DrawWords(Frame& frame, const InspectView& view) {
  InspectState& state = frame.state.inspect;
  state.word = state.map = -1;
  const InspectLayer& layer = view.source->Layers()[static_cast<size_t>(std::max(0, state.layer))];
  const ScopedFont font(frame.look.fonts.small);
  ImGui::Dummy({0, frame.look.Px(2)});
  for (size_t i = 0; i < view.maps.size(); ++i) {
    ShowChip(frame, "inspect.map." + std::to_string(i), view.maps[i].name, 0, static_cast<int>(i),
             &state.map, &state.pinned_map);
  }
  if (layer.text.empty()) {
    if (!view.words.empty()) {
      SameLineIf(frame, frame.look.Px(300));
      ImGui::PushStyleColor(ImGuiCol_Text, frame.look.palette.dim);
      ImGui::TextUnformatted("This layer sees no words; choose one that says \"words\".");
      ImGui::PopStyleColor();
    }
    return;
  }
  // What the place under the mouse gives to each word.
  std::vector<int> keys;
  for (const auto& [first, count] : layer.text) {
    for (int k = 0; k < count; ++k) keys.push_back(first + k);
  }
  for (size_t i = 0; i < view.words.size(); ++i) {
    float mass = 0;
    for (const int position : view.words[i].positions) {
      if (static_cast<size_t>(position) >= keys.size()) continue;
      const auto key = static_cast<size_t>(keys[static_cast<size_t>(position)]);
      if (key < state.row.size()) mass += state.row[key];
    }
    std::string text = view.words[i].text;
    if (!state.row.empty()) text += " " + FixedText(static_cast<double>(mass) * 100, 0) + "%";
    ShowChip(frame, "inspect.word." + std::to_string(i), text, mass, static_cast<int>(i),
             &state.word, &state.pinned_word);
  }
}

void DrawSteps(Frame& frame, const InspectView& view) {
  InspectState& state = frame.state.inspect;
  if (view.vit || view.steps < 2) return;
  if (IconButton(frame, "inspect.play", state.plays ? kIconPause : kIconPlay,
                 state.plays ? "Stop" : "Step after step", state.plays)) {
    state.plays = !state.plays;
  }
  ImGui::SameLine();
  int step = (state.asked_step >= 0 ? state.asked_step : view.step) + 1;
  ImGui::SetNextItemWidth(
      std::min(ImGui::GetContentRegionAvail().x - frame.look.Px(150), frame.look.Px(420)));
  if (WholeSlider(frame, "inspect.step", &step, 1, view.steps)) {
    AskDiffusion(frame, view.picture, std::clamp(step, 1, view.steps) - 1);
  }
  ImGui::SameLine();
  ImGui::PushStyleColor(ImGuiCol_Text, frame.look.palette.dim);
  ImGui::Text("of %d steps", view.steps);
  ImGui::PopStyleColor();
  if (state.plays && !view.busy && (state.asked_step < 0 || state.asked_step == view.step)) {
    AskDiffusion(frame, view.picture, (view.step + 1) % view.steps);
  }
  frame.animates = frame.animates || state.plays;
}

void DrawHeads(Frame& frame, const InspectView& view) {
  InspectState& state = frame.state.inspect;
  int fusion = static_cast<int>(state.fusion);
  const std::string one = "Head " + std::to_string(state.head);
  if (Segments(frame, "inspect.fusion", {"Mean", "Max", one}, &fusion, frame.look.Px(200))) {
    state.fusion = static_cast<HeadChoice>(fusion);
  }
  if (view.source->Halves() == 2) {
    SameLineIf(frame, frame.look.Px(150));
    Segments(frame, "inspect.half", {"Prompt", "Avoid"}, &state.half, frame.look.Px(150));
    Tip(frame, "Guidance asks the network twice: with the prompt, and with what to avoid");
  }
  SameLineIf(frame, frame.look.Px(140));
  ImGui::SetNextItemWidth(frame.look.Px(140));
  float percent = state.opacity * 100;
  if (NumberSlider(frame, "inspect.opacity", &percent, 0, 100, 0, " %")) {
    state.opacity = std::clamp(percent / 100, 0.0f, 1.0f);
  }
  Tip(frame, "How strongly the map covers the picture");
}

// The cell of the place in its colour, over the picture.
void Outline(const WidgetRect& rect, const InspectLayer& layer, InspectPlace place, ImU32 colour,
             float width) {
  if (layer.rows < 1 || layer.columns < 1) return;
  const int token = TokenAt(layer, place) - layer.query_begin;
  const float w = rect.width / static_cast<float>(layer.columns);
  const float h = rect.height / static_cast<float>(layer.rows);
  const float x = rect.x + w * static_cast<float>(token % layer.columns);
  const float y = rect.y + h * static_cast<float>(token / layer.columns);
  ImDrawList& draw = *ImGui::GetWindowDrawList();
  draw.AddRect({x - 1, y - 1}, {x + w + 1, y + h + 1}, IM_COL32(0, 0, 0, 200), 0, 0, width + 2);
  draw.AddRect({x - 1, y - 1}, {x + w + 1, y + h + 1}, colour, 0, 0, width);
}

void DrawPicture(Frame& frame, const InspectView& view, ImVec2 room) {
  InspectState& state = frame.state.inspect;
  const InspectLayer& layer = view.source->Layers()[static_cast<size_t>(std::max(0, state.layer))];
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const WidgetRect rect = PictureBox(frame, "inspect.room", view.image, room, 0);
  if (rect.width < 1) return;
  ImGui::SetCursorScreenPos({rect.x, rect.y});
  const bool pressed = ImGui::InvisibleButton("##inspect.area", {rect.width, rect.height});
  frame.Mark("inspect.area");
  const ImVec2 mouse = ImGui::GetIO().MousePos;
  const bool hovered = ImGui::IsItemHovered();
  if (hovered) {
    state.place = {std::clamp((mouse.x - rect.x) / rect.width, 0.0f, 0.9999f),
                   std::clamp((mouse.y - rect.y) / rect.height, 0.0f, 0.9999f)};
  }
  if (pressed) {
    state.pins.push_back(state.place);
    constexpr size_t kMostPins = 6;
    if (state.pins.size() > kMostPins) state.pins.erase(state.pins.begin());
  }
  UpdateInspectMaps(view, &state);
  ImDrawList& draw = *ImGui::GetWindowDrawList();
  if (state.main.sheet != nullptr) {
    draw.AddImage(frame.textures.Passing(state.main.sheet), {rect.x, rect.y},
                  {rect.x + rect.width, rect.y + rect.height}, {0, 0}, {1, 1},
                  IM_COL32(255, 255, 255, static_cast<int>(state.opacity * 255)));
  }
  const bool by_place =
      state.word < 0 && state.pinned_word < 0 && state.map < 0 && state.pinned_map < 0;
  for (size_t i = 0; i < state.pins.size(); ++i) {
    Outline(rect, layer, state.pins[i], PinColour(i), frame.look.Px(2));
  }
  if (by_place) {
    Outline(rect, layer, state.place, frame.look.palette.accent, frame.look.Px(2));
  }
  ImGui::SetCursorScreenPos({at.x, at.y + room.y + frame.look.Px(4)});
}

void DrawValue(Frame& frame, const InspectView& view) {
  InspectState& state = frame.state.inspect;
  const InspectLayer& layer = view.source->Layers()[static_cast<size_t>(std::max(0, state.layer))];
  const int token = TokenAt(layer, state.place) - layer.query_begin;
  const int row = layer.columns > 0 ? token / layer.columns : 0;
  const int column = layer.columns > 0 ? token % layer.columns : 0;
  std::string text = "row " + std::to_string(row) + ", column " + std::to_string(column);
  if (!state.main.maps.empty()) {
    const auto& map = state.main.maps.front();
    const auto most = std::max_element(map.begin(), map.end());
    const auto index = static_cast<int>(most - map.begin());
    const int y = std::min(static_cast<int>(state.place.y * static_cast<float>(state.main.rows)),
                           state.main.rows - 1);
    const int x = std::min(static_cast<int>(state.place.x * static_cast<float>(state.main.columns)),
                           state.main.columns - 1);
    text +=
        ": " +
        FixedText(static_cast<double>(map[static_cast<size_t>(y * state.main.columns + x)]), 5) +
        " here, most " + FixedText(static_cast<double>(*most), 5) + " at " +
        std::to_string(index / state.main.columns) + ", " +
        std::to_string(index % state.main.columns);
  } else {
    text += ": the keys of this layer are words; their shares are above";
  }
  text += "   (" + FixedText(state.row_ms, 1) + " ms)";
  CutText(frame, text, frame.look.palette.dim);
  frame.Mark("inspect.value");
  const ScopedFont font(frame.look.fonts.small);
  std::string kept = BytesText(static_cast<double>(view.kept_bytes)) + " kept";
  if (view.budget_bytes > 0) {
    kept += " of " + BytesText(static_cast<double>(view.budget_bytes));
  }
  CutText(frame, kept + (view.note.empty() ? "" : ". " + view.note), frame.look.palette.faint);
}

void DrawMiddle(Frame& frame) {
  const InspectView* view = frame.snapshot.inspect.get();
  if (view == nullptr) {
    EmptyState(
        frame, kIconInspect, "What do the heads look at?",
        "Choose a picture in the gallery, or make one, and press Look into the open picture. "
        "Then move the mouse over it: every patch shows where it takes from.");
    return;
  }
  if (view->source == nullptr) {
    frame.animates = frame.animates || view->busy;
    EmptyState(frame, view->busy ? kIconClock : kIconWarning,
               view->busy ? "Looking" : "This cannot be looked into",
               (view->busy ? view->doing : view->problem).c_str());
    return;
  }
  CutText(frame, view->name.empty() ? "no prompt" : view->name, frame.look.palette.text);
  DrawHeads(frame, *view);
  DrawSteps(frame, *view);
  DrawWords(frame, *view);
  const ImVec2 room = ImGui::GetContentRegionAvail();
  DrawPicture(frame, *view, {room.x, std::max(frame.look.Px(120), room.y - frame.look.Px(44))});
  DrawValue(frame, *view);
}

}  // namespace

void DrawInspect(Frame& frame) {
  const float gap = frame.look.Px(10), all = ImGui::GetContentRegionAvail().x;
  const float left = std::clamp(all * 0.25f, frame.look.Px(250), frame.look.Px(400));
  const float right = std::clamp(all * 0.28f, frame.look.Px(250), frame.look.Px(620));
  if (BeginCard(frame, "inspect.left", {left, 0})) DrawInspectList(frame);
  EndCard();
  ImGui::SameLine(0, gap);
  if (BeginCard(frame, "inspect.middle", {all - left - right - 2 * gap, 0})) DrawMiddle(frame);
  EndCard();
  ImGui::SameLine(0, gap);
  if (BeginCard(frame, "inspect.right", {0, 0})) DrawInspectTiles(frame);
  EndCard();
}

}  // namespace fovea
