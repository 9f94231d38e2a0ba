// How does an emoji pass through a text field? Dear ImGui's letters may have 16 bits, and emoji are
// beyond: while a text is edited they stand in the private use area, U+E000 to U+EAFF.
#pragma once

#include <string>

namespace fovea {

// U+1F000 to U+1FAFF of UTF-8 text, and back. Other letters stay.
std::string PackEmoji(const std::string& text);
std::string UnpackEmoji(const std::string& text);
unsigned PackEmoji(unsigned letter);

}  // namespace fovea
