#include "pipelines/maps/prompt_words.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "models/clip/unicode_text.h"
#include "tensor/error.h"

namespace fovea {
namespace {

bool IsPunctuation(const std::string& text) {
  return std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return c < 0x80 && std::ispunct(c) != 0; });
}

}  // namespace

std::vector<PromptWord> WordsOf(const PromptReading& reading) {
  std::vector<PromptWord> words;
  PromptWord word;
  for (const PromptReading::Token& token : reading.tokens) {
    word.text += token.text;
    word.positions.insert(word.positions.end(), token.positions.begin(), token.positions.end());
    if (!token.word_end) continue;
    // A word that a window cuts, or a tokenizer without words, may end within a letter.
    word.text = unicode::Encode(unicode::Decode(word.text));
    const auto same = std::find_if(words.begin(), words.end(),
                                   [&](const PromptWord& each) { return each.text == word.text; });
    if (same != words.end()) {
      same->positions.insert(same->positions.end(), word.positions.begin(), word.positions.end());
    } else if (!IsPunctuation(word.text)) {
      words.push_back(word);
    }
    word = {};
  }
  return words;
}

PromptWord SpecialWord(const PromptReading& reading, const std::string& asked) {
  const std::string name = asked.substr(1, asked.size() - 2);
  const int all = reading.windows * reading.window_length + reading.further;
  PromptWord word{asked, {}};
  int number = 0;
  const auto [next, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error == std::errc{} && next == name.data() + name.size()) {
    if (number < 0) number += all;
    if (number >= 0 && number < all) word.positions = {number};
  } else if (name == "start" || name == "end" || name == "padding") {
    for (int w = 0; w < reading.windows; ++w) {
      const int begin = w * reading.window_length;
      int end = begin + (reading.starts ? 1 : 0);
      for (const PromptReading::Token& token : reading.tokens) {
        const int position = token.positions.at(0);
        if (position >= begin && position < begin + reading.window_length) end = position + 1;
      }
      if (name == "start" && reading.starts) word.positions.push_back(begin);
      if (name == "end" && end < begin + reading.window_length) word.positions.push_back(end);
      for (int i = end + 1; name == "padding" && i < begin + reading.window_length; ++i) {
        word.positions.push_back(i);
      }
    }
  }
  if (word.positions.empty()) {
    throw Error(ErrorCode::kUsage, "--words: there is no " + asked +
                                       "; there are <start>, <end>, <padding>, and <0> to <" +
                                       std::to_string(all - 1) + ">, from the end <-1>");
  }
  return word;
}

PromptWord FindWord(const PromptReading& reading, const std::string& asked,
                    const PromptReading& pieces) {
  PromptWord word{asked, {}};
  const auto same = [](const PromptReading::Token& a, const PromptReading::Token& b) {
    return a.text == b.text && a.word_end == b.word_end;
  };
  const auto &all = reading.tokens, &run = pieces.tokens;
  for (size_t i = 0; !run.empty() && i + run.size() <= all.size(); ++i) {
    if (!std::equal(run.begin(), run.end(), all.begin() + static_cast<std::ptrdiff_t>(i), same)) {
      continue;
    }
    for (size_t k = i; k < i + run.size(); ++k) {
      word.positions.insert(word.positions.end(), all[k].positions.begin(), all[k].positions.end());
    }
  }
  if (!word.positions.empty()) return word;
  std::string known;
  for (const PromptWord& each : WordsOf(reading)) known += (known.empty() ? "" : ", ") + each.text;
  throw Error(ErrorCode::kUsage,
              "--words: \"" + asked + "\" is not in the prompt; its words are: " + known);
}

}  // namespace fovea
