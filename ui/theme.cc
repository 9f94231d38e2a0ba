#include "ui/theme.h"

namespace fovea {
namespace {

constexpr ImU32 Rgb(unsigned hex) {
  return IM_COL32(hex >> 16 & 255, hex >> 8 & 255, hex & 255, 255);
}

constexpr Palette kDark = {Rgb(0x121418), Rgb(0x191c22), Rgb(0x23272f), Rgb(0x2d323c),
                           Rgb(0x2b303a), Rgb(0xe7e9ee), Rgb(0xa0a7b5), Rgb(0x8d95a5),
                           Rgb(0x7f8cff), Rgb(0x98a3ff), Rgb(0x0c0f1d), Rgb(0x45c08b),
                           Rgb(0xe3b04b), Rgb(0xee6a68), Rgb(0x0b0d10)};
constexpr Palette kLight = {Rgb(0xf3f4f7), Rgb(0xffffff), Rgb(0xeceef3), Rgb(0xe1e4eb),
                            Rgb(0xd9dde5), Rgb(0x1b1f27), Rgb(0x565e6d), Rgb(0x5d6574),
                            Rgb(0x4b5bea), Rgb(0x3a49d6), Rgb(0xffffff), Rgb(0x147a4f),
                            Rgb(0x8a5b00), Rgb(0xb92f2e), Rgb(0xe6e8ee)};

void SetColours(const Palette& p, ImVec4* colours) {
  const auto set = [&](ImGuiCol which, ImU32 colour) { colours[which] = ToVec(colour); };
  set(ImGuiCol_Text, p.text);
  set(ImGuiCol_TextDisabled, p.faint);
  set(ImGuiCol_WindowBg, p.background);
  set(ImGuiCol_ChildBg, WithAlpha(p.panel, 0));
  set(ImGuiCol_PopupBg, p.panel);
  set(ImGuiCol_Border, p.border);
  set(ImGuiCol_BorderShadow, WithAlpha(p.border, 0));
  set(ImGuiCol_FrameBg, p.raised);
  set(ImGuiCol_FrameBgHovered, p.hover);
  set(ImGuiCol_FrameBgActive, p.hover);
  set(ImGuiCol_TitleBg, p.panel);
  set(ImGuiCol_TitleBgActive, p.panel);
  set(ImGuiCol_ScrollbarBg, WithAlpha(p.panel, 0));
  set(ImGuiCol_ScrollbarGrab, p.hover);
  set(ImGuiCol_ScrollbarGrabHovered, p.faint);
  set(ImGuiCol_ScrollbarGrabActive, p.faint);
  set(ImGuiCol_CheckMark, p.accent);
  set(ImGuiCol_SliderGrab, p.accent);
  set(ImGuiCol_SliderGrabActive, p.accent_hover);
  set(ImGuiCol_Button, p.raised);
  set(ImGuiCol_ButtonHovered, p.hover);
  set(ImGuiCol_ButtonActive, p.border);
  set(ImGuiCol_Header, WithAlpha(p.accent, 0.22f));
  set(ImGuiCol_HeaderHovered, WithAlpha(p.accent, 0.14f));
  set(ImGuiCol_HeaderActive, WithAlpha(p.accent, 0.30f));
  set(ImGuiCol_Separator, p.border);
  set(ImGuiCol_ResizeGrip, WithAlpha(p.border, 0));
  set(ImGuiCol_TableHeaderBg, p.panel);
  set(ImGuiCol_TableBorderStrong, p.border);
  set(ImGuiCol_TableBorderLight, p.border);
  set(ImGuiCol_TableRowBg, WithAlpha(p.panel, 0));
  set(ImGuiCol_TableRowBgAlt, WithAlpha(p.raised, 0.35f));
  set(ImGuiCol_TextSelectedBg, WithAlpha(p.accent, 0.35f));
  set(ImGuiCol_NavHighlight, p.accent);
  set(ImGuiCol_PlotHistogram, p.accent);
  set(ImGuiCol_ModalWindowDimBg, WithAlpha(p.shade, 0.6f));
}

}  // namespace

ImVec4 ToVec(ImU32 colour) {
  return ImGui::ColorConvertU32ToFloat4(colour);
}

ImU32 WithAlpha(ImU32 colour, float alpha) {
  const auto a = static_cast<ImU32>(alpha * 255.0f + 0.5f);
  return (colour & ~IM_COL32_A_MASK) | (a << IM_COL32_A_SHIFT);
}

void ApplyTheme(bool dark, Look* look) {
  look->dark = dark;
  look->palette = dark ? kDark : kLight;
  ImGuiStyle& style = ImGui::GetStyle();
  style = ImGuiStyle();
  SetColours(look->palette, style.Colors);
  style.WindowPadding = {14, 14};
  style.FramePadding = {10, 6};
  style.CellPadding = {8, 5};
  style.ItemSpacing = {8, 7};
  style.ItemInnerSpacing = {6, 6};
  style.ScrollbarSize = 11;
  style.GrabMinSize = 12;
  style.WindowBorderSize = 0;
  style.ChildBorderSize = 1;
  style.PopupBorderSize = 1;
  style.FrameBorderSize = 0;
  style.WindowRounding = 0;
  style.ChildRounding = 8;
  style.FrameRounding = 6;
  style.PopupRounding = 8;
  style.ScrollbarRounding = 8;
  style.GrabRounding = 6;
  style.SelectableTextAlign = {0, 0.5f};
  // Rounded corners cost software GL dearly when lines are textures.
  style.AntiAliasedLinesUseTex = true;
  style.ScaleAllSizes(look->scale);
}

}  // namespace fovea
