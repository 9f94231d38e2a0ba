#include "ui/widgets/thumbnail.h"

#include "ui/widgets/controls.h"

namespace fovea {

bool Thumbnail(Frame& frame, const std::string& name, const PictureView& picture, float side,
               bool selected) {
  const Look& look = frame.look;
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const bool pressed = ImGui::InvisibleButton(name.c_str(), {side, side});
  frame.Mark(name);
  const bool hovered = ImGui::IsItemHovered();
  Tip(frame, picture.settings.prompt);
  ImDrawList& draw = *ImGui::GetWindowDrawList();
  const ImVec2 end{at.x + side, at.y + side};
  draw.AddRectFilled(at, end, look.palette.raised, look.Px(6));
  if (picture.thumbnail != nullptr && picture.thumbnail->width > 0) {
    // The middle of pictures that are not square.
    const auto w = static_cast<float>(picture.thumbnail->width);
    const auto h = static_cast<float>(picture.thumbnail->height);
    const float cut_x = w > h ? (1 - h / w) / 2 : 0, cut_y = h > w ? (1 - w / h) / 2 : 0;
    draw.AddImageRounded(frame.textures.Get(picture.thumbnail), at, end, {cut_x, cut_y},
                         {1 - cut_x, 1 - cut_y}, IM_COL32_WHITE, look.Px(6));
  }
  if (picture.favourite && look.fonts.has_icons) {
    draw.AddText({end.x - look.Px(22), at.y + look.Px(5)}, look.palette.warn, kIconStar.glyph);
  }
  if (hovered || selected) {
    draw.AddRect(at, end, selected ? look.palette.accent : look.palette.faint, look.Px(6), 0,
                 look.Px(2));
  }
  return pressed;
}

}  // namespace fovea
