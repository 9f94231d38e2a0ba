// The steps before byte pairs, as tokenizer.json lists them: normalise the text, cut it into words.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "models/clip/unicode_text.h"

namespace fovea {

struct NormalForm {
  unicode::Form form = unicode::Form::kNfc;
};
struct LowercaseAll {};
struct ReplaceSpaces {  // each run of white space
  std::u32string content;
};
struct ReplaceText {
  std::u32string pattern, content;
};
struct StripEnds {
  bool left = true, right = true;
};
using NormalizerStep =
    std::variant<NormalForm, LowercaseAll, ReplaceSpaces, ReplaceText, StripEnds>;

// CLIP's words: contractions, runs of letters, single digits, runs of anything else but white
// space, which is dropped; with `specials`, <|startoftext|> and <|endoftext|> stay whole.
struct SplitClipWords {
  bool specials = false;
};
// GPT-2's words: runs keep one space before them. Drops nothing.
struct SplitByteLevel {
  bool prefix_space = false;
  bool words = true;  // otherwise only the prefix
};
using SplitStep = std::variant<SplitClipWords, SplitByteLevel>;

struct TextSteps {
  std::vector<NormalizerStep> normalizer;
  std::vector<SplitStep> splits;

  static TextSteps Clip();  // those of transformers' CLIPTokenizer
  // The members "normalizer" and "pre_tokenizer" of tokenizer.json. Throws kUnsupported naming a
  // step that we lack, kBadFile for a broken one.
  static TextSteps Parse(const nlohmann::json& tokenizer, const std::string& where);

  std::u32string Normalize(std::u32string_view text) const;
  // Calls `word` for each word in order.
  void Split(std::u32string_view text, const std::function<void(std::u32string_view)>& word) const;
};

}  // namespace fovea
