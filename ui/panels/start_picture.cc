#include "ui/panels/start_picture.h"

#include <algorithm>
#include <cmath>
#include <string>

#include <imgui_stdlib.h>

#include "ui/widgets/controls.h"

namespace fovea {
namespace {

// As the engine fills it in: diffusers' of image to image and of inpainting.
constexpr double kImageStrength = 0.8, kMaskStrength = 1;

// A given picture as large as it is, or, if that is far from what the model was trained on, in its
// proportions with as many pixels as those have.
void FitSize(const GivenView& given, const ModelView& model, GenerateSettings* draft) {
  const double pixels = static_cast<double>(given.width) * given.height;
  const double trained = static_cast<double>(model.trained_width) * model.trained_height;
  const double scale =
      pixels > 2 * trained || pixels < trained / 2 ? std::sqrt(trained / pixels) : 1;
  const int unit = 2 * model.factor;
  const auto side = [&](int pixels_given) {
    return std::max(unit, static_cast<int>(pixels_given * scale / unit + 0.5) * unit);
  };
  draft->width = side(given.width);
  draft->height = side(given.height);
}

void Send(Frame& frame) {
  UiState& state = frame.state;
  if (IsEmpty(state.mask)) {
    state.draft.mask.clear();
    state.painted.clear();
    state.mask_waits = false;
    return;
  }
  state.mask_waits = true;
  frame.Send(KeepMask{++state.mask_request, std::make_shared<Image>(ImageOf(state.mask))});
}

// The answer to the settings as they stand, or null.
const CheckView* CurrentCheck(const Frame& frame) {
  const CheckView* check = frame.snapshot.check.get();
  const UiState& state = frame.state;
  return check != nullptr && check->version == state.version &&
                 state.asked.image == state.draft.image && state.asked.mask == state.draft.mask
             ? check
             : nullptr;
}

// What is painted follows the settings, which are undone, restored and changed elsewhere, too.
void FollowSettings(Frame& frame) {
  UiState& state = frame.state;
  const CheckView* check = CurrentCheck(frame);
  if (state.mask_waits || check == nullptr || check->image == nullptr) return;
  const MaskPaint empty = EmptyMask(check->image->width, check->image->height);
  const bool fits = state.mask.width == empty.width && state.mask.height == empty.height;
  if (fits && state.painted == state.draft.mask) return;
  state.mask = state.draft.mask.empty() || check->mask == nullptr
                   ? empty
                   : MaskOf(*check->mask, check->image->width, check->image->height);
  state.painted = state.draft.mask;
}

void RemovePicture(Frame& frame) {
  GenerateSettings& draft = frame.state.draft;
  draft.image.clear();
  draft.mask.clear();
  draft.strength = -1;
  frame.state.show_start = false;
}

// Runs of white cells as rectangles that end on whole pixels, so that none shines through another.
void DrawMask(Frame& frame, const MaskPaint& mask, const WidgetRect& rect) {
  ImDrawList& draw = *ImGui::GetWindowDrawList();
  const ImU32 colour = WithAlpha(frame.look.palette.accent, 0.5f);
  const auto x_of = [&](int x) {
    return std::floor(rect.x + rect.width * static_cast<float>(x) / static_cast<float>(mask.width));
  };
  const auto y_of = [&](int y) {
    return std::floor(rect.y +
                      rect.height * static_cast<float>(y) / static_cast<float>(mask.height));
  };
  for (int y = 0; y < mask.height; ++y) {
    const uint8_t* row =
        mask.white.data() + static_cast<size_t>(y) * static_cast<size_t>(mask.width);
    for (int x = 0; x < mask.width;) {
      if (row[x] == 0) {
        ++x;
        continue;
      }
      int end = x;
      while (end < mask.width && row[end] != 0) ++end;
      draw.AddRectFilled({x_of(x), y_of(y)}, {x_of(end), y_of(y + 1)}, colour);
      x = end;
    }
  }
}

// Where the mouse paints, in cells.
ImVec2 CellAt(const MaskPaint& mask, const WidgetRect& rect, ImVec2 mouse) {
  return {(mouse.x - rect.x) / rect.width * static_cast<float>(mask.width),
          (mouse.y - rect.y) / rect.height * static_cast<float>(mask.height)};
}

void Paint(Frame& frame, const WidgetRect& rect) {
  UiState& state = frame.state;
  const ImGuiIO& io = ImGui::GetIO();
  ImGui::SetCursorScreenPos({rect.x, rect.y});
  ImGui::InvisibleButton("##mask", {rect.width, rect.height},
                         ImGuiButtonFlags_MouseButtonLeft | ImGuiButtonFlags_MouseButtonRight);
  frame.Mark("mask.area");
  const float radius = std::max(
      0.6f, state.brush * static_cast<float>(std::max(state.mask.width, state.mask.height)));
  if (ImGui::IsItemActive()) {
    const bool erases = state.erases || io.MouseDown[1];
    const ImVec2 now = CellAt(state.mask, rect, io.MousePos);
    const ImVec2 before =
        ImGui::IsItemActivated()
            ? now
            : CellAt(state.mask, rect,
                     {io.MousePos.x - io.MouseDelta.x, io.MousePos.y - io.MouseDelta.y});
    PaintStroke(before.x, before.y, now.x, now.y, radius, !erases, &state.mask);
    state.mask_waits = true;  // until the stroke ends
  }
  if (ImGui::IsItemDeactivated()) Send(frame);
  if (!ImGui::IsItemHovered()) return;
  const float pixels = radius * rect.width / static_cast<float>(state.mask.width);
  ImDrawList& draw = *ImGui::GetWindowDrawList();
  draw.AddCircle(io.MousePos, pixels, frame.look.palette.shade, 48, frame.look.Px(3));
  draw.AddCircle(io.MousePos, pixels, IM_COL32_WHITE, 48, frame.look.Px(1.2f));
}

void DrawChosen(Frame& frame, const CheckView* check) {
  GenerateSettings& draft = frame.state.draft;
  const float side = frame.look.Px(64);
  const ImagePtr image = check == nullptr ? nullptr : check->image;
  const ImVec2 at = ImGui::GetCursorScreenPos();
  if (ImGui::InvisibleButton("##start", {side, side})) frame.state.show_start = true;
  frame.Mark("start.picture");
  Tip(frame, "Shows it large, and lets you paint the part that is made anew");
  ImGui::GetWindowDrawList()->AddRectFilled(at, {at.x + side, at.y + side},
                                            frame.look.palette.raised, frame.look.Px(6));
  if (image != nullptr) {
    const auto w = static_cast<float>(image->width), h = static_cast<float>(image->height);
    const float scale = side / std::max(w, h), x = (side - w * scale) / 2,
                y = (side - h * scale) / 2;
    ImGui::GetWindowDrawList()->AddImage(frame.textures.Get(image), {at.x + x, at.y + y},
                                         {at.x + x + w * scale, at.y + y + h * scale});
  }
  ImGui::SameLine(0, frame.look.Px(10));
  ImGui::BeginGroup();
  auto strength = static_cast<float>(draft.strength > 0   ? draft.strength
                                     : draft.mask.empty() ? kImageStrength
                                                          : kMaskStrength);
  ImGui::SetNextItemWidth(-FLT_MIN);
  if (NumberSlider(frame, "start.strength", &strength, 0.05f, 1, 2, " strength")) {
    draft.strength = std::round(static_cast<double>(strength) * 100) / 100;
  }
  Tip(frame, FieldHelp("strength"));
  if (QuietButton(frame, "start.mask", draft.mask.empty() ? "Paint a mask" : "Change the mask",
                  "Only the painted part is made anew")) {
    frame.state.show_start = true;
  }
  ImGui::SameLine();
  if (QuietButton(frame, "start.remove", "Remove", "Start from noise again")) RemovePicture(frame);
  ImGui::EndGroup();
}

}  // namespace

void TakeGiven(Frame& frame) {
  UiState& state = frame.state;
  const GivenView* given = frame.snapshot.given.get();
  if (given != nullptr && given->number != state.taken_given) {
    state.taken_given = given->number;
    if (given->is_mask) {
      if (given->request == state.mask_request && state.mask_waits) {
        state.draft.mask = state.painted = given->digest;
        state.mask_waits = false;
      }
    } else {
      state.draft.image = given->digest;
      state.draft.mask.clear();
      state.draft.strength = -1;
      state.tab = Tab::kCreate;
      state.show_start = true;
      if (frame.snapshot.model != nullptr) FitSize(*given, *frame.snapshot.model, &state.draft);
    }
  }
  FollowSettings(frame);
}

void DrawStartPicture(Frame& frame) {
  UiState& state = frame.state;
  ImGui::Dummy({1, frame.look.Px(1)});
  Label(frame, "Start from", "image");
  if (!state.draft.image.empty()) {
    DrawChosen(frame, CurrentCheck(frame));
    return;
  }
  ImGui::SetNextItemWidth(-FLT_MIN);
  const bool entered =
      ImGui::InputTextWithHint("##start.path", "noise; or drop a picture, or type its path",
                               &state.typed_picture, ImGuiInputTextFlags_EnterReturnsTrue);
  frame.Mark("start.path");
  Tip(frame,
      "A PNG or JPEG file to start from instead of noise: drop it onto the window, or type "
      "its path and press Enter. Pictures of the gallery have a button for it.");
  if (entered && !state.typed_picture.empty()) {
    frame.Send(UsePictureFile{state.typed_picture});
    state.typed_picture.clear();
  }
}

void DrawMaskTools(Frame& frame) {
  UiState& state = frame.state;
  int view = state.show_start ? 1 : 0;
  if (Segments(frame, "canvas.view", {"Result", "Start picture"}, &view, frame.look.Px(220))) {
    state.show_start = view == 1;
  }
  if (!state.show_start) return;
  SameLineIf(frame, frame.look.Px(130));
  int tool = state.erases ? 1 : 0;
  if (Segments(frame, "mask.tool", {"Paint", "Erase"}, &tool, frame.look.Px(130))) {
    state.erases = tool == 1;
  }
  SameLineIf(frame, frame.look.Px(110));
  ImGui::SetNextItemWidth(frame.look.Px(110));
  float percent = state.brush * 100;
  if (NumberSlider(frame, "mask.size", &percent, 1, 25, 0, " %")) state.brush = percent / 100;
  Tip(frame, "Radius of the brush, in percent of the picture. The right mouse button erases.");
  const bool any = !IsEmpty(state.mask);
  SameLineIf(frame, ButtonWidth("Invert"));
  if (QuietButton(frame, "mask.invert", "Invert", "Paint what is not painted",
                  state.mask.width > 0)) {
    InvertMask(&state.mask);
    Send(frame);
  }
  SameLineIf(frame, ButtonWidth("Clear"));
  if (QuietButton(frame, "mask.clear", "Clear", "The whole picture is made anew", any)) {
    state.mask.white.assign(state.mask.white.size(), 0);
    Send(frame);
  }
  SameLineIf(frame, frame.look.Px(34));
  if (IconButton(frame, "mask.undo", kIconUndo, "Undo (Ctrl+Z)")) {
    state.draft = state.history.Undo();
    frame.Send(KeepHistory{state.history.Entries(), state.history.Cursor()});
  }
}

void DrawMaskCanvas(Frame& frame) {
  const CheckView* check = CurrentCheck(frame);
  const ImagePtr image = frame.snapshot.check == nullptr ? nullptr : frame.snapshot.check->image;
  if (image == nullptr) {
    EmptyState(
        frame, kIconPicture, "No picture to start from",
        check != nullptr && !check->problem.empty() ? check->problem.c_str() : "It is being read.");
    return;
  }
  const WidgetRect rect =
      PictureBox(frame, "start.canvas", image, ImGui::GetContentRegionAvail(), 0);
  if (rect.width < 1 || frame.state.mask.width < 1) return;
  DrawMask(frame, frame.state.mask, rect);
  Paint(frame, rect);
}

}  // namespace fovea
