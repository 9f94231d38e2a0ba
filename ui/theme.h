// How the studio looks: colours, letters and spacing, dark and light, at any density of pixels.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <imgui.h>

#include "ui/icons.h"

namespace fovea {

struct Palette {
  ImU32 background, panel, raised, hover, border, text, dim, faint;
  ImU32 accent, accent_hover, on_accent, good, warn, bad, shade;
};

struct Fonts {
  ImFont* body = nullptr;
  ImFont* strong = nullptr;
  ImFont* title = nullptr;
  ImFont* small = nullptr;
  ImFont* icons = nullptr;  // large ones, for empty states; null: no icon font
  bool has_icons = false;
  std::shared_ptr<std::vector<ImWchar>> more;  // ranges, which the atlas points to
  std::string note;                            // what is missing and how to get it; usually empty
};

struct Look {
  bool dark = true;
  float scale = 1;  // of the screen's density times the person's choice
  Palette palette{};
  Fonts fonts;

  float Px(float points) const { return points * scale; }
  // The icon's glyph, or its word where the font is not installed.
  const char* Of(const Icon& icon) const { return fonts.has_icons ? icon.glyph : icon.word; }
};

// Letters of the first font that is there (Inter, Roboto, Noto Sans, DejaVu Sans, in Debian's
// places), icons of Font Awesome 4. Without any, Dear ImGui's own bitmap font, with a note.
// `more`: letters of other scripts, from the fonts that have them (Noto, Droid, DejaVu).
Fonts LoadFonts(ImFontAtlas& atlas, float scale, const std::vector<ImWchar>& more = {});

// Colours and spacing into the current ImGui context; look->palette is filled.
void ApplyTheme(bool dark, Look* look);

ImVec4 ToVec(ImU32 colour);
ImU32 WithAlpha(ImU32 colour, float alpha);

}  // namespace fovea
