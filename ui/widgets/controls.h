// The studio's controls: ImGui's with our look, help and names.
#pragma once

#include <string>
#include <vector>

#include "ui/frame.h"

namespace fovea {

// Scoped ImGui state.
struct ScopedFont {
  explicit ScopedFont(ImFont* font) { ImGui::PushFont(font); }
  ~ScopedFont() { ImGui::PopFont(); }
};

void Tip(const Frame& frame, const std::string& text);  // of the last item, when hovered
void DimText(const Frame& frame, const std::string& text);
void SmallText(const Frame& frame, const std::string& text, ImU32 colour);
// One line, cut with "..." to the width (0: what is left); the whole text as a tip.
void CutText(const Frame& frame, const std::string& text, ImU32 colour, float width = 0);

// A name above a control; its tip is the settings' own description of `field`.
void Label(Frame& frame, const char* text, const char* field = "");
void Heading(Frame& frame, const char* text);

bool PrimaryButton(Frame& frame, const std::string& name, const std::string& label, ImVec2 size,
                   bool enabled = true);
bool QuietButton(Frame& frame, const std::string& name, const std::string& label,
                 const std::string& tip = {}, bool enabled = true, ImVec2 size = {0, 0});
bool IconButton(Frame& frame, const std::string& name, const Icon& icon, const std::string& tip,
                bool active = false, bool enabled = true);
// On the same line as the last item if `width` is left there, else on the next.
void SameLineIf(const Frame& frame, float width);
float ButtonWidth(const char* label);
// One of several, side by side over the width given.
bool Segments(Frame& frame, const std::string& name, const std::vector<std::string>& labels,
              int* chosen, float width);
// A list to choose from; `otherwise` is shown for the empty value, which is offered first.
bool Choose(Frame& frame, const std::string& name, const std::vector<std::string>& choices,
            const char* otherwise, std::string* value);
// Sliders with their value beside them; Ctrl+click types one. As wide as the next item.
bool WholeSlider(Frame& frame, const std::string& name, int* value, int low, int high);
bool NumberSlider(Frame& frame, const std::string& name, float* value, float low, float high,
                  int digits, const std::string& unit = "");

// After a text field: Esc leaves it with what was typed, instead of what stood there before.
void KeepOnEscape(const std::string& before, std::string* text);

bool TextBox(Frame& frame, const std::string& name, const char* hint, std::string* text,
             float height = 0);

void Progress(const Frame& frame, float share, float height);  // over what is left of the width
void EmptyState(Frame& frame, const Icon& icon, const char* title, const char* text);
void Chip(const Frame& frame, const std::string& text, ImU32 fill, ImU32 colour);
// The picture in a box, its sides in proportion, in the middle; returns where it was drawn.
WidgetRect PictureBox(Frame& frame, const std::string& name, const ImagePtr& image, ImVec2 box,
                      float rounding = 6);

// A panel with a filled background; size as BeginChild's.
bool BeginCard(const Frame& frame, const char* id, ImVec2 size, bool scrolls = false);
void EndCard();

std::string SecondsText(double seconds);  // "0.8 s", "2 min 10 s"
std::string BytesText(double bytes);      // "412 MB"
std::string FixedText(double value, int digits);

}  // namespace fovea
