#include "ui/widgets/controls.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include <imgui_stdlib.h>

#include "ui/emoji_text.h"

namespace fovea {
namespace {

constexpr double kTipAfter = 0.5;  // seconds of rest

}  // namespace

void Tip(const Frame& frame, const std::string& text) {
  if (text.empty() || !ImGui::IsItemHovered(ImGuiHoveredFlags_AllowWhenDisabled)) return;
  TipTime& time = frame.state.tips[text];
  const double now = ImGui::GetTime();
  if (time.frame == 0 || time.frame + 1 < ImGui::GetFrameCount()) time.since = now;
  time.frame = ImGui::GetFrameCount();
  if (now - time.since < kTipAfter || ImGui::IsAnyMouseDown()) {
    frame.state.tip_due = time.since + kTipAfter;
    return;
  }
  // Below the item, or above it, so that its neighbours stay in sight.
  const ImVec2 low = ImGui::GetItemRectMin(), high = ImGui::GetItemRectMax();
  const ImGuiViewport& view = *ImGui::GetMainViewport();
  const bool below = high.y + frame.look.Px(120) < view.Pos.y + view.Size.y;
  const float x = std::clamp(low.x, view.Pos.x,
                             std::max(view.Pos.x, view.Pos.x + view.Size.x - frame.look.Px(364)));
  // Of a large item only the place of the mouse is known to matter.
  const ImVec2 mouse = ImGui::GetIO().MousePos;
  const bool large = high.y - low.y > frame.look.Px(90);
  ImGui::SetNextWindowPos(
      large ? ImVec2{mouse.x + frame.look.Px(14), mouse.y + frame.look.Px(18)}
            : ImVec2{x, below ? high.y + frame.look.Px(6) : low.y - frame.look.Px(6)},
      ImGuiCond_Always, {0, large || below ? 0.0f : 1.0f});
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {frame.look.Px(10), frame.look.Px(8)});
  ImGui::BeginTooltip();
  ImGui::PushTextWrapPos(frame.look.Px(340));
  ImGui::TextUnformatted(text.c_str());
  ImGui::PopTextWrapPos();
  ImGui::EndTooltip();
  ImGui::PopStyleVar();
}

void DimText(const Frame& frame, const std::string& text) {
  ImGui::PushStyleColor(ImGuiCol_Text, frame.look.palette.dim);
  ImGui::TextWrapped("%s", text.c_str());
  ImGui::PopStyleColor();
}

void SmallText(const Frame& frame, const std::string& text, ImU32 colour) {
  const ScopedFont font(frame.look.fonts.small);
  ImGui::PushStyleColor(ImGuiCol_Text, colour);
  ImGui::TextWrapped("%s", text.c_str());
  ImGui::PopStyleColor();
}

void CutText(const Frame& frame, const std::string& text, ImU32 colour, float width) {
  if (width <= 0) width = ImGui::GetContentRegionAvail().x;
  std::string shown = text;
  std::replace(shown.begin(), shown.end(), '\n', ' ');
  const bool cut = ImGui::CalcTextSize(shown.c_str()).x > width;
  while (cut && !shown.empty() && ImGui::CalcTextSize((shown + "...").c_str()).x > width) {
    while (!shown.empty() && (static_cast<unsigned char>(shown.back()) & 0xc0) == 0x80) {
      shown.pop_back();  // the last bytes of a letter
    }
    if (!shown.empty()) shown.pop_back();
  }
  ImGui::PushStyleColor(ImGuiCol_Text, colour);
  ImGui::TextUnformatted((cut ? shown + "..." : shown).c_str());
  ImGui::PopStyleColor();
  if (cut) Tip(frame, text);
}

void Label(Frame& frame, const char* text, const char* field) {
  const ScopedFont font(frame.look.fonts.small);
  ImGui::PushStyleColor(ImGuiCol_Text, frame.look.palette.dim);
  ImGui::TextUnformatted(text);
  ImGui::PopStyleColor();
  ImGui::PushFont(frame.look.fonts.body);
  Tip(frame, FieldHelp(field));
  ImGui::PopFont();
}

void Heading(Frame& frame, const char* text) {
  const ScopedFont font(frame.look.fonts.strong);
  ImGui::TextUnformatted(text);
}

bool PrimaryButton(Frame& frame, const std::string& name, const std::string& label, ImVec2 size,
                   bool enabled) {
  const Palette& p = frame.look.palette;
  ImGui::BeginDisabled(!enabled);
  ImGui::PushStyleColor(ImGuiCol_Button, p.accent);
  ImGui::PushStyleColor(ImGuiCol_ButtonHovered, p.accent_hover);
  ImGui::PushStyleColor(ImGuiCol_ButtonActive, p.accent_hover);
  ImGui::PushStyleColor(ImGuiCol_Text, p.on_accent);
  const ScopedFont font(frame.look.fonts.strong);
  const bool pressed = ImGui::Button((label + "###" + name).c_str(), size);
  ImGui::PopStyleColor(4);
  ImGui::EndDisabled();
  frame.Mark(name);
  return pressed;
}

bool QuietButton(Frame& frame, const std::string& name, const std::string& label,
                 const std::string& tip, bool enabled, ImVec2 size) {
  ImGui::BeginDisabled(!enabled);
  const bool pressed = ImGui::Button((label + "###" + name).c_str(), size);
  ImGui::EndDisabled();
  frame.Mark(name);
  Tip(frame, tip);
  return pressed;
}

bool IconButton(Frame& frame, const std::string& name, const Icon& icon, const std::string& tip,
                bool active, bool enabled) {
  const Palette& p = frame.look.palette;
  ImGui::BeginDisabled(!enabled);
  ImGui::PushStyleColor(ImGuiCol_Button,
                        active ? WithAlpha(p.accent, 0.2f) : WithAlpha(p.raised, 0));
  ImGui::PushStyleColor(ImGuiCol_Text, active ? p.accent : p.dim);
  ImGui::PushStyleVar(ImGuiStyleVar_FramePadding, {frame.look.Px(6), frame.look.Px(5)});
  const bool pressed = ImGui::Button((std::string(frame.look.Of(icon)) + "###" + name).c_str());
  ImGui::PopStyleVar();
  ImGui::PopStyleColor(2);
  ImGui::EndDisabled();
  frame.Mark(name);
  Tip(frame, tip);
  return pressed;
}

void SameLineIf(const Frame& frame, float width) {
  // Since the last item the cursor stands at the beginning of the next line.
  const float right = ImGui::GetCursorScreenPos().x + ImGui::GetContentRegionAvail().x;
  const float gap = frame.look.Px(8);
  if (ImGui::GetItemRectMax().x + gap + width <= right) ImGui::SameLine(0, gap);
}

float ButtonWidth(const char* label) {
  return ImGui::CalcTextSize(label).x + 2 * ImGui::GetStyle().FramePadding.x;
}

bool Segments(Frame& frame, const std::string& name, const std::vector<std::string>& labels,
              int* chosen, float width) {
  const Palette& p = frame.look.palette;
  const auto count = static_cast<int>(labels.size());
  const float gap = frame.look.Px(2);
  const float each = (width - gap * static_cast<float>(count - 1)) / static_cast<float>(count);
  bool changed = false;
  for (int i = 0; i < count; ++i) {
    if (i > 0) ImGui::SameLine(0, gap);
    const bool on = i == *chosen;
    ImGui::PushStyleColor(ImGuiCol_Button, on ? WithAlpha(p.accent, 0.22f) : p.raised);
    ImGui::PushStyleColor(ImGuiCol_Text, on ? p.accent : p.dim);
    const std::string id = name + "." + std::to_string(i);
    const std::string label = labels[static_cast<size_t>(i)] + "###" + id;
    if (ImGui::Button(label.c_str(), {each, 0}) && !on) {
      *chosen = i;
      changed = true;
    }
    ImGui::PopStyleColor(2);
    frame.Mark(id);
  }
  return changed;
}

bool Choose(Frame& frame, const std::string& name, const std::vector<std::string>& choices,
            const char* otherwise, std::string* value) {
  bool changed = false;
  const char* shown = value->empty() ? otherwise : value->c_str();
  const bool open = ImGui::BeginCombo(("##" + name).c_str(), shown, ImGuiComboFlags_HeightLarge);
  if (!open) frame.Mark(name);
  if (open) {
    const auto offer = [&](const std::string& choice, const char* label) {
      const bool chosen = choice == *value;
      if (ImGui::Selectable(label, chosen) && !chosen) {
        *value = choice;
        changed = true;
      }
      frame.Mark(name + "." + (choice.empty() ? "default" : choice));
      if (chosen) ImGui::SetItemDefaultFocus();
    };
    if (otherwise[0] != '\0') offer("", otherwise);
    for (const std::string& choice : choices) offer(choice, choice.c_str());
    ImGui::EndCombo();
  }
  return changed;
}

namespace {

// The slider and, at its right, what it says: the knob would hide a value inside of it. While a
// number is typed into it (Ctrl+click), it stands inside.
template <class Slide>
bool SliderBeside(Frame& frame, const std::string& name, const std::string& value, float room,
                  const Slide& slide) {
  const ImGuiIO& io = ImGui::GetIO();
  std::string& typing = frame.state.typed_slider;
  const float width = ImGui::CalcItemWidth();
  ImGui::SetNextItemWidth(std::max(width - room, frame.look.Px(40)));
  const bool changed = slide(io.KeyCtrl || typing == name);
  const bool types = ImGui::IsItemActive() && io.WantTextInput;
  if (types) typing = name;
  if (!types && typing == name) typing.clear();
  frame.Mark(name);
  const bool hovered = ImGui::IsItemHovered();
  ImGui::SameLine(0, frame.look.Px(6));
  ImGui::AlignTextToFramePadding();
  ImGui::PushStyleColor(ImGuiCol_Text, hovered ? frame.look.palette.text : frame.look.palette.dim);
  ImGui::TextUnformatted(value.c_str());
  ImGui::PopStyleColor();
  return changed;
}

}  // namespace

bool WholeSlider(Frame& frame, const std::string& name, int* value, int low, int high) {
  return SliderBeside(frame, name, std::to_string(*value), frame.look.Px(34), [&](bool inside) {
    return ImGui::SliderInt(("###" + name).c_str(), value, low, high, inside ? "%d" : "");
  });
}

bool NumberSlider(Frame& frame, const std::string& name, float* value, float low, float high,
                  int digits, const std::string& unit) {
  const std::string format = "%." + std::to_string(digits) + "f";
  const std::string shown = FixedText(*value, digits) + unit;
  const float room =
      std::max(frame.look.Px(34), ImGui::CalcTextSize(shown.c_str()).x) + frame.look.Px(6);
  return SliderBeside(frame, name, shown, room, [&](bool inside) {
    return ImGui::SliderFloat(("###" + name).c_str(), value, low, high,
                              inside ? format.c_str() : "");
  });
}

void KeepOnEscape(const std::string& before, std::string* text) {
  if (ImGui::IsKeyPressed(ImGui::GetKeyIndex(ImGuiKey_Escape)) && *text != before) *text = before;
}

bool TextBox(Frame& frame, const std::string& name, const char* hint, std::string* text,
             float height) {
  const std::string id = "##" + name;
  const std::string before = *text;
  *text = PackEmoji(*text);
  bool changed = false;
  if (height > 0) {
    // A new line is typed with Enter; Ctrl+Enter belongs to the shell.
    changed = ImGui::InputTextMultiline(id.c_str(), text, {-FLT_MIN, height});
    if (text->empty() && !ImGui::IsItemActive()) {
      const ImVec2 low = ImGui::GetItemRectMin(), padding = ImGui::GetStyle().FramePadding;
      ImGui::GetWindowDrawList()->AddText({low.x + padding.x, low.y + padding.y},
                                          frame.look.palette.faint, hint);
    }
  } else {
    changed = ImGui::InputTextWithHint(id.c_str(), hint, text);
  }
  *text = UnpackEmoji(*text);
  KeepOnEscape(before, text);
  frame.Mark(name);
  return changed;
}

void Progress(const Frame& frame, float share, float height) {
  const Palette& p = frame.look.palette;
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const float width = ImGui::GetContentRegionAvail().x;
  ImDrawList& draw = *ImGui::GetWindowDrawList();
  draw.AddRectFilled(at, {at.x + width, at.y + height}, p.raised, height / 2);
  const float filled = std::clamp(share, 0.0f, 1.0f) * width;
  if (filled > height) {
    draw.AddRectFilled(at, {at.x + filled, at.y + height}, p.accent, height / 2);
  }
  ImGui::Dummy({width, height});
}

void EmptyState(Frame& frame, const Icon& icon, const char* title, const char* text) {
  const Palette& p = frame.look.palette;
  const ImVec2 room = ImGui::GetContentRegionAvail();
  const ImVec2 at = ImGui::GetCursorPos();
  const float wrap = std::min(room.x - frame.look.Px(16), frame.look.Px(360));
  const ImVec2 size = ImGui::CalcTextSize(text, nullptr, false, wrap);
  const float icon_height = frame.look.fonts.icons != nullptr ? frame.look.Px(58) : 0;
  const float height = icon_height + frame.look.Px(34) + size.y;
  float y = at.y + std::max(0.0f, (room.y - height) / 2);
  if (frame.look.fonts.icons != nullptr) {
    const ScopedFont font(frame.look.fonts.icons);
    ImGui::SetCursorPos({at.x + (room.x - ImGui::CalcTextSize(icon.glyph).x) / 2, y});
    ImGui::PushStyleColor(ImGuiCol_Text, WithAlpha(p.faint, 0.6f));
    ImGui::TextUnformatted(icon.glyph);
    ImGui::PopStyleColor();
    y += icon_height;
  }
  {
    const ScopedFont font(frame.look.fonts.strong);
    ImGui::SetCursorPos({at.x + (room.x - ImGui::CalcTextSize(title).x) / 2, y});
    ImGui::TextUnformatted(title);
  }
  y += frame.look.Px(28);
  ImGui::SetCursorPos({at.x + (room.x - size.x) / 2, y});
  ImGui::PushTextWrapPos(at.x + (room.x - size.x) / 2 + wrap);
  ImGui::PushStyleColor(ImGuiCol_Text, p.dim);
  ImGui::TextUnformatted(text);
  ImGui::PopStyleColor();
  ImGui::PopTextWrapPos();
}

void Chip(const Frame& frame, const std::string& text, ImU32 fill, ImU32 colour) {
  const ScopedFont font(frame.look.fonts.small);
  const ImVec2 size = ImGui::CalcTextSize(text.c_str());
  const ImVec2 pad{frame.look.Px(6), frame.look.Px(2.5f)};
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const ImVec2 end{at.x + size.x + 2 * pad.x, at.y + size.y + 2 * pad.y};
  ImGui::GetWindowDrawList()->AddRectFilled(at, end, fill, frame.look.Px(4));
  ImGui::GetWindowDrawList()->AddText({at.x + pad.x, at.y + pad.y}, colour, text.c_str());
  ImGui::Dummy({end.x - at.x, end.y - at.y});
}

WidgetRect PictureBox(Frame& frame, const std::string& name, const ImagePtr& image, ImVec2 box,
                      float rounding) {
  const ImVec2 at = ImGui::GetCursorScreenPos();
  ImGui::Dummy(box);
  frame.Mark(name);
  if (image == nullptr || image->width < 1 || image->height < 1) return {};
  const float scale =
      std::min(box.x / static_cast<float>(image->width), box.y / static_cast<float>(image->height));
  const float width = static_cast<float>(image->width) * scale;
  const float height = static_cast<float>(image->height) * scale;
  const float x = std::floor(at.x + (box.x - width) / 2),
              y = std::floor(at.y + (box.y - height) / 2);
  ImGui::GetWindowDrawList()->AddImageRounded(frame.textures.Get(image), {x, y},
                                              {x + width, y + height}, {0, 0}, {1, 1},
                                              IM_COL32_WHITE, frame.look.Px(rounding));
  return {x, y, width, height, false};
}

bool BeginCard(const Frame& frame, const char* id, ImVec2 size, bool scrolls) {
  ImGui::PushStyleColor(ImGuiCol_ChildBg, frame.look.palette.panel);
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {frame.look.Px(14), frame.look.Px(12)});
  const bool open =
      BeginArea(id, size,
                ImGuiWindowFlags_AlwaysUseWindowPadding |
                    (scrolls ? ImGuiWindowFlags_None
                             : ImGuiWindowFlags_NoScrollbar | ImGuiWindowFlags_NoScrollWithMouse));
  ImGui::PopStyleVar();
  ImGui::PopStyleColor();
  return open;
}

void EndCard() {
  ImGui::EndChild();
}

std::string SecondsText(double seconds) {
  char text[48];
  if (seconds < 9.95) {
    std::snprintf(text, sizeof text, "%.1f s", seconds);
  } else if (seconds < 100) {
    std::snprintf(text, sizeof text, "%.0f s", seconds);
  } else if (seconds < 5400) {
    std::snprintf(text, sizeof text, "%d min %d s", static_cast<int>(seconds) / 60,
                  static_cast<int>(seconds) % 60);
  } else {
    std::snprintf(text, sizeof text, "%.1f h", seconds / 3600);
  }
  return text;
}

std::string BytesText(double bytes) {
  char text[32];
  if (bytes >= 1e9) {
    std::snprintf(text, sizeof text, "%.1f GB", bytes / 1e9);
  } else {
    std::snprintf(text, sizeof text, "%.0f MB", bytes / 1e6);
  }
  return text;
}

std::string FixedText(double value, int digits) {
  char text[48];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

}  // namespace fovea
