#include "ui/widgets/prompt_box.h"

#include <algorithm>
#include <vector>

#include <imgui_stdlib.h>

#include "ui/widgets/controls.h"

namespace fovea {
namespace {

std::string Unwrapped(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

// Called by ImGui while a person types: the same number of bytes, so the cursor stays.
int Rewrap(ImGuiInputTextCallbackData* data) {
  const std::string now(data->Buf, static_cast<size_t>(data->BufTextLen));
  const std::string wrapped = WrapWords(Unwrapped(now), *static_cast<float*>(data->UserData));
  if (wrapped == now) return 0;
  std::copy(wrapped.begin(), wrapped.end(), data->Buf);
  data->BufDirty = true;
  return 0;
}

struct Word {
  std::string text;
  double weight = 1;
  int tokens = 0;
};

std::vector<Word> WordsOf(const PromptView& prompt) {
  std::vector<Word> words;
  bool begins = true;
  for (const TokenView& token : prompt.tokens) {
    if (begins) words.push_back({"", token.weight, 0});
    words.back().text += token.text;
    ++words.back().tokens;
    begins = token.word_end;
  }
  return words;
}

}  // namespace

std::string WrapWords(const std::string& text, float width) {
  std::string out = text;
  float line = 0;
  size_t word = 0;
  const float blank = ImGui::CalcTextSize(" ").x;
  for (size_t end = 0; end <= text.size(); ++end) {
    if (end < text.size() && text[end] != ' ') continue;
    const float size = ImGui::CalcTextSize(text.data() + word, text.data() + end).x;
    if (word > 0 && line > 0 && line + size > width) {
      out[word - 1] = '\n';
      line = 0;
    }
    line += size + blank;
    word = end + 1;
  }
  return out;
}

bool PromptBox(Frame& frame, const std::string& name, const char* hint, std::string* text,
               float height) {
  const ImGuiStyle& style = ImGui::GetStyle();
  float width = ImGui::GetContentRegionAvail().x - 2 * style.FramePadding.x - style.ScrollbarSize;
  std::string shown = WrapWords(Unwrapped(*text), width);
  const bool changed =
      ImGui::InputTextMultiline(("##" + name).c_str(), &shown, {-FLT_MIN, height},
                                ImGuiInputTextFlags_CallbackAlways, Rewrap, &width);
  // Esc would bring back what stood here before.
  const bool left = ImGui::IsKeyPressed(ImGui::GetKeyIndex(ImGuiKey_Escape));
  if (changed && !left) *text = Unwrapped(shown);
  frame.Mark(name);
  if (text->empty() && !ImGui::IsItemActive()) {
    const ImVec2 low = ImGui::GetItemRectMin();
    ImGui::GetWindowDrawList()->AddText(
        {low.x + style.FramePadding.x, low.y + style.FramePadding.y}, frame.look.palette.faint,
        hint);
  }
  return changed;
}

void PromptChips(Frame& frame, const PromptView& prompt) {
  const Palette& p = frame.look.palette;
  const ScopedFont font(frame.look.fonts.small);
  const float right = ImGui::GetCursorScreenPos().x + ImGui::GetContentRegionAvail().x;
  ImGui::PushStyleVar(ImGuiStyleVar_ItemSpacing, {frame.look.Px(4), frame.look.Px(4)});
  const auto room = static_cast<int>((prompt.window_length - 2) * prompt.windows);
  const auto count = static_cast<int>(prompt.tokens.size());
  const std::string counter = std::to_string(count) + " / " + std::to_string(room) + " tokens";
  Chip(frame, counter, WithAlpha(p.raised, 0), count > room - 5 ? p.warn : p.faint);
  Tip(frame, prompt.windows > 1
                 ? "The prompt takes " + std::to_string(prompt.windows) +
                       " windows of the text encoder, which reads each by itself."
                 : "How many tokens the text encoder reads, of those that fit its window.");
  for (const Word& word : WordsOf(prompt)) {
    const float size = ImGui::CalcTextSize(word.text.c_str()).x + frame.look.Px(12);
    ImGui::SameLine();
    if (ImGui::GetCursorScreenPos().x + size > right) ImGui::NewLine();
    const bool strong = word.weight > 1.001, weak = word.weight < 0.999;
    Chip(frame, word.text,
         strong ? WithAlpha(p.good, 0.22f)
         : weak ? WithAlpha(p.warn, 0.2f)
                : p.raised,
         strong ? p.good
         : weak ? p.warn
                : p.dim);
    ImGui::PushFont(frame.look.fonts.body);
    Tip(frame, "\"" + word.text + "\": " + std::to_string(word.tokens) +
                   (word.tokens == 1 ? " token" : " tokens") + ", weight " +
                   FixedText(word.weight, 2) + ". Write (word:1.2) to weigh it.");
    ImGui::PopFont();
  }
  ImGui::PopStyleVar();
}

}  // namespace fovea
