// Dear ImGui 1.86 to 1.91 under one set of names: keys and textures, the two things that changed.
#pragma once

#include <cstdint>

#include <imgui.h>

namespace fovea {

// Since 1.87 keys have names of their own; before, each backend had numbers, GLFW's being the ASCII
// codes of letters and digits.
#if IMGUI_VERSION_NUM >= 18700
using KeyCode = ImGuiKey;
inline constexpr ImGuiKey kKeypadEnter = ImGuiKey_KeypadEnter;
inline KeyCode NamedKey(ImGuiKey key) {
  return key;
}
// 'A' to 'Z', '0' to '9'.
inline KeyCode LetterKey(char letter) {
  return static_cast<ImGuiKey>(letter <= '9' ? ImGuiKey_0 + (letter - '0')
                                             : ImGuiKey_A + (letter - 'A'));
}
#else
using KeyCode = int;
inline constexpr ImGuiKey kKeypadEnter = ImGuiKey_KeyPadEnter;
inline KeyCode NamedKey(ImGuiKey key) {
  return ImGui::GetKeyIndex(key);
}
inline KeyCode LetterKey(char letter) {
  return letter;
}
#endif

// The moment in which the key goes down.
inline bool Pressed(KeyCode key) {
  return ImGui::IsKeyPressed(key, false);
}

// A part of a panel that scrolls by itself and through which the keyboard walks as if it were none.
inline bool BeginArea(const char* id, ImVec2 size = {0, 0}, ImGuiWindowFlags flags = 0) {
#if IMGUI_VERSION_NUM >= 19090
  return ImGui::BeginChild(id, size, ImGuiChildFlags_NavFlattened, flags);
#else
  return ImGui::BeginChild(id, size, false, flags | ImGuiWindowFlags_NavFlattened);
#endif
}

// A pointer before 1.91.4, a number since.
inline ImTextureID TextureId(unsigned texture) {
  return (ImTextureID) static_cast<intptr_t>(texture);
}

}  // namespace fovea
