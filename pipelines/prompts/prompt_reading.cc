#include "pipelines/prompts/prompt_reading.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "models/t5/t5_tokenizer.h"

namespace fovea {

std::vector<PromptReading::Token> ReadLong(const T5Tokenizer& tokenizer, const std::string& text,
                                           int length, int first) {
  constexpr std::string_view kSpace = "\xE2\x96\x81";
  std::vector<PromptReading::Token> tokens;
  for (const int32_t id : tokenizer.Encode(text)) {
    const int position = static_cast<int>(tokens.size());
    if (position + 1 >= length) break;  // the end comes after
    std::string piece = tokenizer.Token(id);
    const bool begins = piece.starts_with(kSpace);
    if (begins) piece.erase(0, kSpace.size());
    const auto mark = [](unsigned char c) { return c < 0x80 && std::ispunct(c) != 0; };
    const bool punctuation = !piece.empty() && std::all_of(piece.begin(), piece.end(), mark);
    if (!tokens.empty() && (begins || punctuation)) tokens.back().word_end = true;
    for (char& c : piece) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    tokens.push_back({piece, 1, punctuation, {first + position}});
  }
  if (!tokens.empty()) tokens.back().word_end = true;
  return tokens;
}

void AddPositions(const std::vector<PromptReading::Token>& from,
                  std::vector<PromptReading::Token>* to) {
  // Words: their text, and the tokens [begin, end).
  struct Word {
    std::string text;
    size_t begin, end;
  };
  const auto words = [](const std::vector<PromptReading::Token>& tokens) {
    std::vector<Word> all;
    Word word{"", 0, 0};
    for (size_t i = 0; i < tokens.size(); ++i) {
      word.text += tokens[i].text;
      if (!tokens[i].word_end) continue;
      word.end = i + 1;
      all.push_back(word);
      word = {"", i + 1, i + 1};
    }
    return all;
  };
  const std::vector<Word> others = words(from);
  size_t next = 0;
  for (const Word& word : words(*to)) {
    size_t found = next;
    while (found < others.size() && others[found].text != word.text) ++found;
    if (found == others.size()) continue;
    next = found + 1;
    std::vector<int>& positions = (*to)[word.end - 1].positions;
    for (size_t i = others[found].begin; i < others[found].end; ++i) {
      positions.push_back(from[i].positions[0]);
    }
  }
}

}  // namespace fovea
