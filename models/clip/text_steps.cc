#include "models/clip/text_steps.h"

#include <algorithm>
#include <array>

namespace fovea {
namespace {

using unicode::IsLetter;
using unicode::IsNumber;
using unicode::IsSpace;

using View = std::u32string_view;
using WordSink = std::function<void(View)>;

bool IsOther(char32_t c) {
  return !IsSpace(c) && !IsLetter(c) && !IsNumber(c);
}

constexpr std::array<View, 7> kContractions = {U"'s", U"'t", U"'re", U"'ve", U"'m", U"'ll", U"'d"};
constexpr std::array<View, 2> kSpecials = {U"<|startoftext|>", U"<|endoftext|>"};

// The length of the first entry that `text` starts with, or 0.
template <size_t N>
size_t MatchAny(const std::array<View, N>& table, View text) {
  for (const View entry : table) {
    if (text.substr(0, entry.size()) == entry) return entry.size();
  }
  return 0;
}

template <class Predicate>
size_t RunLength(View text, Predicate belongs) {
  size_t length = 0;
  while (length < text.size() && belongs(text[length])) ++length;
  return length;
}

void SplitClip(View text, bool specials, const WordSink& word) {
  while (!text.empty()) {
    size_t length = specials ? MatchAny(kSpecials, text) : 0;
    if (length == 0) length = MatchAny(kContractions, text);
    if (length == 0) length = RunLength(text, IsLetter);
    if (length == 0) length = IsNumber(text[0]) ? 1 : 0;
    if (length == 0) length = RunLength(text, IsOther);
    if (length > 0) word(text.substr(0, length));
    text.remove_prefix(std::max<size_t>(length, 1));
  }
}

size_t ByteLevelWord(View text) {
  if (const size_t length = MatchAny(kContractions, text)) return length;
  const size_t space = text[0] == U' ' ? 1 : 0;
  const View rest = text.substr(space);
  size_t run = RunLength(rest, IsLetter);
  if (run == 0) run = RunLength(rest, IsNumber);
  if (run == 0) run = RunLength(rest, IsOther);
  if (run > 0) return space + run;
  // White space; its last character is left for the word that follows, unless it stands alone.
  const size_t spaces = RunLength(text, IsSpace);
  return spaces == text.size() || spaces == 1 ? spaces : spaces - 1;
}

void SplitBytes(View text, const SplitByteLevel& step, const WordSink& word) {
  std::u32string prefixed;
  if (step.prefix_space && !text.starts_with(U' ')) {
    prefixed = U' ' + std::u32string(text);
    text = prefixed;
  }
  while (step.words && !text.empty()) {
    const size_t length = ByteLevelWord(text);
    word(text.substr(0, length));
    text.remove_prefix(length);
  }
  if (!text.empty()) word(text);
}

void SplitAtSpaces(View text, const std::function<void(View, bool)>& word) {
  for (size_t at = 0; at < text.size();) {
    const size_t length = RunLength(text.substr(at), [](char32_t c) { return !IsSpace(c); });
    if (length > 0) word(text.substr(at, length), at == 0);
    at += std::max<size_t>(length, 1);
  }
}

void SplitAtMarks(View text, const SplitMarks& step, bool first, const WordSink& word) {
  std::u32string marked(text);
  std::replace(marked.begin(), marked.end(), U' ', step.mark);
  const bool prepend = step.prepend && (first || !step.only_first);
  if (prepend && !marked.starts_with(step.mark)) marked.insert(0, 1, step.mark);
  View rest = marked;
  while (!rest.empty()) {
    const size_t end = step.split ? std::min(rest.find(step.mark, 1), rest.size()) : rest.size();
    word(rest.substr(0, end));
    rest.remove_prefix(end);
  }
}

void SplitFrom(const std::vector<SplitStep>& steps, size_t index, View text, bool first,
               const WordSink& word) {
  if (index == steps.size()) {
    word(text);
    return;
  }
  const auto from = [&](View part, bool is_first) {
    SplitFrom(steps, index + 1, part, is_first, word);
  };
  const WordSink next = [&](View part) { from(part, first && part.data() == text.data()); };
  if (std::holds_alternative<SplitSpaces>(steps[index])) {
    SplitAtSpaces(text, [&](View part, bool begins) { from(part, first && begins); });
  } else if (const auto* marks = std::get_if<SplitMarks>(&steps[index])) {
    bool begins = first;
    SplitAtMarks(text, *marks, first, [&](View part) {
      from(part, begins);
      begins = false;
    });
  } else if (const auto* clip = std::get_if<SplitClipWords>(&steps[index])) {
    SplitClip(text, clip->specials, next);
  } else {
    SplitBytes(text, std::get<SplitByteLevel>(steps[index]), next);
  }
}

struct ApplyNormalizer {
  View text;

  std::u32string operator()(const NormalForm& step) const {
    return unicode::Normalize(text, step.form);
  }
  std::u32string operator()(const LowercaseAll&) const { return unicode::Lowercase(text); }
  std::u32string operator()(const ReplaceSpaces& step) const {
    std::u32string out;
    for (size_t i = 0; i < text.size();) {
      const size_t spaces = RunLength(text.substr(i), IsSpace);
      if (spaces > 0) {
        out += step.content;
        i += spaces;
      } else {
        out.push_back(text[i++]);
      }
    }
    return out;
  }
  std::u32string operator()(const ReplaceText& step) const {
    std::u32string out;
    for (size_t i = 0; i < text.size();) {
      if (text.substr(i, step.pattern.size()) == step.pattern) {
        out += step.content;
        i += step.pattern.size();
      } else {
        out.push_back(text[i++]);
      }
    }
    return out;
  }
  std::u32string operator()(const ReplaceBlanks& step) const {
    std::u32string out;
    for (size_t i = 0; i < text.size();) {
      const size_t run = RunLength(text.substr(i), [](char32_t c) { return c == U' '; });
      if (run >= 2) {
        out += step.content;
      } else {
        out.push_back(text[i]);
      }
      i += std::max<size_t>(run, 1);
    }
    return out;
  }
  std::u32string operator()(const PrependText& step) const {
    return text.empty() ? std::u32string() : step.content + std::u32string(text);
  }
  std::u32string operator()(const ApplyCharsmap& step) const { return step.map->Normalize(text); }
  std::u32string operator()(const StripEnds& step) const {
    View rest = text;
    while (step.left && !rest.empty() && IsSpace(rest.front())) rest.remove_prefix(1);
    while (step.right && !rest.empty() && IsSpace(rest.back())) rest.remove_suffix(1);
    return std::u32string(rest);
  }
};

}  // namespace

TextSteps TextSteps::Clip() {
  TextSteps steps;
  steps.normalizer.emplace_back(NormalForm{});
  steps.normalizer.emplace_back(ReplaceSpaces{U" "});
  steps.normalizer.emplace_back(LowercaseAll{});
  steps.splits = {SplitClipWords{.specials = true}, SplitByteLevel{}};
  return steps;
}

TextSteps TextSteps::T5(std::string_view charsmap, const std::string& where) {
  TextSteps steps;
  if (!charsmap.empty()) {
    steps.normalizer.emplace_back(
        ApplyCharsmap{std::make_shared<const Charsmap>(Charsmap::Parse(charsmap, where))});
  }
  steps.splits = {SplitSpaces{}, SplitMarks{}};
  return steps;
}

std::u32string TextSteps::Normalize(View text) const {
  std::u32string out(text);
  for (const NormalizerStep& step : normalizer) out = std::visit(ApplyNormalizer{out}, step);
  return out;
}

void TextSteps::Split(View text, const WordSink& word, bool first) const {
  SplitFrom(splits, 0, text, first, word);
}

}  // namespace fovea
