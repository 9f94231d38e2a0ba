#include "ui/widgets/prompt_box.h"

#include <algorithm>
#include <vector>

#include <imgui_stdlib.h>

#include "ui/emoji_text.h"
#include "ui/widgets/controls.h"
#include "ui/word_weight.h"

namespace fovea {
namespace {

std::string Unwrapped(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

// Called by ImGui while a person types: the same number of bytes, so the cursor stays.
int Rewrap(ImGuiInputTextCallbackData* data) {
  const bool up = Pressed(NamedKey(ImGuiKey_UpArrow)), down = Pressed(NamedKey(ImGuiKey_DownArrow));
  if (ImGui::GetIO().KeyCtrl && (up || down)) {
    int cursor = data->CursorPos;
    const std::string before(data->Buf, static_cast<size_t>(data->BufTextLen));
    const std::string weighed = WeighWord(before, up ? 0.1 : -0.1, &cursor);
    if (weighed != before) {
      data->DeleteChars(0, data->BufTextLen);
      data->InsertChars(0, weighed.c_str());
      data->CursorPos = std::min(cursor, data->BufTextLen);
    }
    data->SelectionStart = data->SelectionEnd = data->CursorPos;
  }
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

constexpr int kRowsOfWords = 2;

void More(Frame& frame, const std::string& text, const char* tip) {
  const ImVec2 at = ImGui::GetCursorScreenPos();
  Chip(frame, text, WithAlpha(frame.look.palette.accent, 0.2f), frame.look.palette.accent);
  const ImVec2 size = ImGui::GetItemRectSize();
  ImGui::SetCursorScreenPos(at);
  if (ImGui::InvisibleButton("##all_words", size)) {
    frame.state.all_words = !frame.state.all_words;
  }
  frame.Mark("create.all_words");
  ImGui::PushFont(frame.look.fonts.body);
  Tip(frame, tip);
  ImGui::PopFont();
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
  std::string shown = WrapWords(Unwrapped(PackEmoji(*text)), width);
  const bool changed =
      ImGui::InputTextMultiline(("##" + name).c_str(), &shown, {-FLT_MIN, height},
                                ImGuiInputTextFlags_CallbackAlways, Rewrap, &width);
  // Esc would bring back what stood here before.
  const bool left = ImGui::IsKeyPressed(ImGui::GetKeyIndex(ImGuiKey_Escape));
  if (changed && !left) *text = UnpackEmoji(Unwrapped(shown));
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
  const std::vector<Word> words = WordsOf(prompt);
  // A long prompt's words would push the settings out of sight: two rows, and a chip for the rest.
  int rows = 1;
  const float more = ImGui::CalcTextSize("+ 999").x + frame.look.Px(16);
  for (size_t i = 0; i < words.size(); ++i) {
    const Word& word = words[i];
    const float size = ImGui::CalcTextSize(word.text.c_str()).x + frame.look.Px(12);
    ImGui::SameLine();
    const float x = ImGui::GetCursorScreenPos().x;
    const bool last = rows == kRowsOfWords && !frame.state.all_words;
    if (last && i + 1 < words.size() && x + size + more > right) {
      More(frame, "+ " + std::to_string(words.size() - i), "Shows every word");
      break;
    }
    if (x + size > right) {
      ImGui::NewLine();
      ++rows;
    }
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
                   FixedText(word.weight, 2) +
                   ". Write (word:1.2) to weigh it, or press Ctrl+Up or Ctrl+Down on it.");
    ImGui::PopFont();
  }
  if (frame.state.all_words && rows > kRowsOfWords) {
    ImGui::SameLine();
    More(frame, "less", "Shows two rows of words");
  }
  ImGui::PopStyleVar();
}

}  // namespace fovea
