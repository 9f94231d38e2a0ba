// A text box that wraps words, which ImGui's does not, and the words as the text encoder reads
// them.
#pragma once

#include <string>

#include "ui/frame.h"

namespace fovea {

// Line breaks are where the box needs them and nowhere else: in the text they are blanks.
bool PromptBox(Frame& frame, const std::string& name, const char* hint, std::string* text,
               float height);

// Blanks of `text` turned into line breaks where words pass `width`; as long as `text`.
std::string WrapWords(const std::string& text, float width);

// Words in chips, coloured by weight, and the number of tokens beside the window's length.
void PromptChips(Frame& frame, const PromptView& prompt);

}  // namespace fovea
