// Inspect, right: how maps are drawn, all heads of a layer or one head through the layers, pins.
#include <algorithm>

#include "ui/colour_maps.h"
#include "ui/inspect_maps.h"
#include "ui/panels/inspect_parts.h"
#include "ui/plan_text.h"
#include "ui/widgets/controls.h"

namespace fovea {
namespace {

void DrawLook(Frame& frame) {
  InspectState& state = frame.state.inspect;
  const float half = (ImGui::GetContentRegionAvail().x - frame.look.Px(8)) / 2;
  ImGui::SetNextItemWidth(half);
  std::string colours = ColourMapNames()[static_cast<size_t>(state.colours)];
  if (Choose(frame, "inspect.colours", ColourMapNames(), "", &colours)) {
    const auto& names = ColourMapNames();
    state.colours =
        static_cast<int>(std::find(names.begin(), names.end(), colours) - names.begin());
  }
  ImGui::SameLine(0, frame.look.Px(8));
  ImGui::SetNextItemWidth(half);
  static const std::vector<std::string> kScales{"own maximum", "2-98 percent", "one scale", "rank"};
  std::string scale = kScales[static_cast<size_t>(state.scale)];
  if (Choose(frame, "inspect.scale", kScales, "", &scale)) {
    state.scale =
        static_cast<MapScale>(std::find(kScales.begin(), kScales.end(), scale) - kScales.begin());
  }
  Tip(frame,
      "From which values to which the colours go. Own maximum: each map from 0 to its largest "
      "value. One scale: all tiles from 0 to the largest of all, so that they can be compared.");
}

// Tiles of a sheet, to be pressed; the number of the pressed one, or -1.
int DrawSheet(Frame& frame, const std::string& name, const InspectTiles& tiles, ImVec2 room,
              const std::vector<std::string>& labels, int chosen, bool pins = false) {
  if (tiles.sheet == nullptr) return -1;
  const auto count = static_cast<int>(tiles.maps.size());
  // The sheet knows an arrangement; the room another: tiles are cut out of it one by one.
  const float shape = static_cast<float>(tiles.rows) / static_cast<float>(tiles.columns);
  const float gap = frame.look.Px(4), text = frame.look.Px(14);
  int across = 1;
  for (; across < count; ++across) {
    const float width =
        (room.x - gap * static_cast<float>(across - 1)) / static_cast<float>(across);
    const int down = (count + across - 1) / across;
    if (static_cast<float>(down) * (width * shape + text + gap) <= room.y) break;
  }
  float width = (room.x - gap * static_cast<float>(across - 1)) / static_cast<float>(across);
  const auto lines = static_cast<float>((count + across - 1) / across);
  width = std::min({width, frame.look.Px(220), (room.y / lines - text - gap) / shape});
  width = std::max(width, frame.look.Px(16));
  const ImVec2 at = ImGui::GetCursorScreenPos();
  ImDrawList& draw = *ImGui::GetWindowDrawList();
  const ImTextureID texture = frame.textures.Passing(tiles.sheet);
  const auto w = static_cast<float>(tiles.sheet->width),
             h = static_cast<float>(tiles.sheet->height);
  int pressed = -1;
  const ScopedFont font(frame.look.fonts.small);
  for (int i = 0; i < count; ++i) {
    const ImVec2 low{at.x + static_cast<float>(i % across) * (width + gap),
                     at.y + static_cast<float>(i / across) * (width * shape + text + gap)};
    const ImVec2 high{low.x + width, low.y + width * shape};
    ImGui::SetCursorScreenPos(low);
    const std::string id = name + "." + std::to_string(i);
    if (ImGui::InvisibleButton(id.c_str(), {width, width * shape})) pressed = i;
    frame.Mark(id);
    const bool hovered = ImGui::IsItemHovered();
    if (tiles.maps[static_cast<size_t>(i)].empty()) {
      draw.AddRectFilled(low, high, frame.look.palette.raised);
    } else {
      const float x = static_cast<float>(i % tiles.across * (tiles.columns + kTileGap));
      const float y = static_cast<float>(i / tiles.across * (tiles.rows + kTileGap));
      draw.AddImage(
          texture, low, high, {x / w, y / h},
          {(x + static_cast<float>(tiles.columns)) / w, (y + static_cast<float>(tiles.rows)) / h});
    }
    if (pins) {
      draw.AddRect(low, high, PinColour(static_cast<size_t>(i)), 0, 0, frame.look.Px(2));
    } else if (hovered || i == chosen) {
      draw.AddRect({low.x - 1, low.y - 1}, {high.x + 1, high.y + 1},
                   i == chosen ? frame.look.palette.accent : frame.look.palette.text, 0, 0,
                   frame.look.Px(2));
    }
    const std::string& label = labels[static_cast<size_t>(i)];
    draw.PushClipRect({low.x, high.y}, {high.x, high.y + text}, true);
    draw.AddText({low.x, high.y}, frame.look.palette.dim, label.c_str());
    draw.PopClipRect();
    Tip(frame, label);
  }
  ImGui::SetCursorScreenPos(at);
  ImGui::Dummy(
      {room.x, static_cast<float>((count + across - 1) / across) * (width * shape + text + gap)});
  return pressed;
}

void DrawPins(Frame& frame, const InspectView& view) {
  InspectState& state = frame.state.inspect;
  Label(frame, state.pins.empty() ? "Pins: click on the picture to hold a place" : "Pins");
  if (state.pins.empty()) return;
  ImGui::SameLine();
  if (QuietButton(frame, "inspect.unpin", "Clear")) {
    state.pins.clear();
    return;
  }
  const InspectLayer& layer = view.source->Layers()[static_cast<size_t>(state.layer)];
  if (layer.key_begin < 0) return;  // its keys are words
  UpdatePinnedMaps(view, &state);
  std::vector<std::string> labels;
  for (const InspectPlace& pin : state.pins) {
    const int token = TokenAt(layer, pin) - layer.query_begin;
    labels.push_back(std::to_string(token / layer.columns) + ", " +
                     std::to_string(token % layer.columns));
  }
  const int pressed =
      DrawSheet(frame, "inspect.pin", state.pinned,
                {ImGui::GetContentRegionAvail().x, frame.look.Px(110)}, labels, -1, true);
  if (pressed >= 0) state.pins.erase(state.pins.begin() + pressed);
}

}  // namespace

ImU32 PinColour(size_t pin) {
  constexpr ImU32 kColours[] = {IM_COL32(255, 255, 255, 255), IM_COL32(255, 170, 60, 255),
                                IM_COL32(90, 220, 255, 255),  IM_COL32(255, 110, 170, 255),
                                IM_COL32(150, 255, 120, 255), IM_COL32(255, 240, 90, 255)};
  return kColours[pin % std::size(kColours)];
}

void DrawInspectTiles(Frame& frame) {
  InspectState& state = frame.state.inspect;
  const InspectView* view = frame.snapshot.inspect.get();
  DrawLook(frame);
  if (view == nullptr || view->source == nullptr || state.layer < 0) return;
  int which = state.through_layers ? 1 : 0;
  if (Segments(frame, "inspect.tiles", {"Heads of this layer", "This head, all layers"}, &which,
               ImGui::GetContentRegionAvail().x)) {
    state.through_layers = which == 1;
    if (state.through_layers) state.fusion = HeadChoice::kOne;
  }
  const auto& layers = view->source->Layers();
  std::vector<std::string> labels;
  for (size_t i = 0; i < state.tiles.maps.size(); ++i) {
    labels.push_back(state.through_layers
                         ? ShortestPath(layers[std::min(i, layers.size() - 1)].path)
                         : "head " + std::to_string(i));
  }
  const float pins = frame.look.Px(state.pins.empty() ? 30 : 160);
  BeginArea("sheet", {0, -pins});
  const int chosen = state.through_layers               ? state.layer
                     : state.fusion == HeadChoice::kOne ? state.head
                                                        : -1;
  const int pressed =
      DrawSheet(frame, "inspect.tile", state.tiles, ImGui::GetContentRegionAvail(), labels, chosen);
  if (pressed >= 0 && state.through_layers) state.layer = pressed;
  if (pressed >= 0 && !state.through_layers) {
    // Pressed again: all heads.
    const bool same = state.fusion == HeadChoice::kOne && state.head == pressed;
    state.head = pressed;
    state.fusion = same ? HeadChoice::kMean : HeadChoice::kOne;
  }
  ImGui::EndChild();
  DrawPins(frame, *view);
}

}  // namespace fovea
