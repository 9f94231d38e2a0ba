#include "ui/widgets/zoom_box.h"

#include <algorithm>
#include <cmath>

#include "ui/widgets/controls.h"

namespace fovea {
namespace {

constexpr float kMostZoom = 32;

}  // namespace

void ZoomBox(Frame& frame, const std::string& name, const ImagePtr& image, ImVec2 box, bool live) {
  UiState& state = frame.state;
  if (image == nullptr || image->width < 1 || image->height < 1) return;
  const auto w = static_cast<float>(image->width), h = static_cast<float>(image->height);
  const float fit = std::min(box.x / w, box.y / h);
  const ImVec2 at = ImGui::GetCursorScreenPos();
  ImGui::InvisibleButton(("##" + name).c_str(), box);
  const bool hovered = ImGui::IsItemHovered(), active = ImGui::IsItemActive();
  const ImGuiIO& io = ImGui::GetIO();
  const float before = state.picture_zoom > 0 ? state.picture_zoom : fit;
  if (hovered && io.MouseWheel != 0) {
    // What lies under the mouse stays there.
    const float from_x = (io.MousePos.x - at.x - box.x / 2) / before / w + state.picture_x;
    const float from_y = (io.MousePos.y - at.y - box.y / 2) / before / h + state.picture_y;
    float zoom = before * std::pow(1.25f, io.MouseWheel);
    // Whole multiples are sharp: near one, it is taken.
    if (zoom > 0.95f && std::abs(zoom - std::round(zoom)) < 0.12f) zoom = std::round(zoom);
    state.picture_zoom = std::min(zoom, std::max(kMostZoom, 16 * fit));
    if (state.picture_zoom <= fit) state.picture_zoom = 0;
    state.picture_x = from_x - (io.MousePos.x - at.x - box.x / 2) / zoom / w;
    state.picture_y = from_y - (io.MousePos.y - at.y - box.y / 2) / zoom / h;
  }
  if (hovered && ImGui::IsMouseDoubleClicked(0)) {
    state.picture_zoom = state.picture_zoom > 0 ? 0 : std::max(1.0f, std::floor(fit));
    state.picture_x = state.picture_y = 0.5f;
  }
  const float scale = state.picture_zoom > 0 ? state.picture_zoom : fit;
  if (active) {
    state.picture_x -= io.MouseDelta.x / scale / w;
    state.picture_y -= io.MouseDelta.y / scale / h;
  }
  // No further than to its edges.
  const auto limit = [](float middle, float room, float side) {
    const float half = std::min(0.5f, room / side / 2);
    return std::clamp(middle, half, 1 - half);
  };
  state.picture_x = limit(state.picture_x, box.x, w * scale);
  state.picture_y = limit(state.picture_y, box.y, h * scale);
  const float x = std::floor(at.x + box.x / 2 - state.picture_x * w * scale);
  const float y = std::floor(at.y + box.y / 2 - state.picture_y * h * scale);
  ImDrawList& draw = *ImGui::GetWindowDrawList();
  draw.PushClipRect(at, {at.x + box.x, at.y + box.y}, true);
  const bool whole = state.picture_zoom == 0;
  if (whole) {
    draw.AddImageRounded(frame.textures.Get(image), {x, y}, {x + w * scale, y + h * scale}, {0, 0},
                         {1, 1}, IM_COL32_WHITE, frame.look.Px(6));
  } else {
    draw.AddImage(scale >= 1 ? frame.textures.Sharp(image) : frame.textures.Get(image), {x, y},
                  {x + w * scale, y + h * scale});
  }
  draw.PopClipRect();
  // The name stands for the picture, not for the room around it.
  if (frame.widgets != nullptr && ImGui::IsItemVisible()) {
    (*frame.widgets)[name] = {at.x, at.y, box.x, box.y, false};
  }
  if (!whole) {
    ImGui::SetCursorScreenPos({at.x + frame.look.Px(6), at.y + frame.look.Px(6)});
    Chip(frame, FixedText(scale * 100, 0) + " %", frame.look.palette.raised,
         frame.look.palette.text);
    frame.Mark(name + ".zoom");
    ImGui::SetCursorScreenPos({at.x, at.y + box.y});
  }
  if (!live) Tip(frame, "Wheel: larger and smaller. Drag: move. Double click: 1:1, and back.");
}

}  // namespace fovea
