// The steps before byte pairs, as tokenizer.json lists them: normalise the text, cut it into words.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "models/clip/unicode_text.h"
#include "models/t5/charsmap.h"

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
struct ReplaceBlanks {  // each run of two U+0020 and more
  std::u32string content;
};
struct PrependText {  // to what is not empty
  std::u32string content;
};
struct ApplyCharsmap {
  std::shared_ptr<const Charsmap> map;
};
using NormalizerStep = std::variant<NormalForm, LowercaseAll, ReplaceSpaces, ReplaceText, StripEnds,
                                    ReplaceBlanks, PrependText, ApplyCharsmap>;

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
// Words between white space, which is dropped.
struct SplitSpaces {};
// Spaces become `mark`, one is put in front (always, or of the text's very first word), and words
// begin at marks.
struct SplitMarks {
  char32_t mark = U'\u2581';
  bool prepend = true, only_first = false;
  bool split = true;
};
using SplitStep = std::variant<SplitClipWords, SplitByteLevel, SplitSpaces, SplitMarks>;

struct TextSteps {
  std::vector<NormalizerStep> normalizer;
  std::vector<SplitStep> splits;

  static TextSteps Clip();  // those of transformers' CLIPTokenizer
  // Those of transformers' T5Tokenizer, behind the charsmap if there is one. Throws kBadFile.
  static TextSteps T5(std::string_view charsmap, const std::string& where);
  // The members "normalizer" and "pre_tokenizer" of tokenizer.json. Throws kUnsupported naming a
  // step that we lack, kBadFile for a broken one.
  // `bytes`: the vocabulary is of byte symbols, which the last step must make.
  static TextSteps Parse(const nlohmann::json& tokenizer, const std::string& where, bool bytes);

  std::u32string Normalize(std::u32string_view text) const;
  // Calls `word` for each word in order. `first`: the text begins with this part.
  void Split(std::u32string_view text, const std::function<void(std::u32string_view)>& word,
             bool first = true) const;
};

}  // namespace fovea
