// TextSteps::Parse: the steps of tokenizer.json that CLIP's files use.
#include <nlohmann/json.hpp>

#include "models/clip/text_steps.h"
#include "models/files/json_text.h"
#include "tensor/error.h"

namespace fovea {
namespace {

using nlohmann::json;

// Both spellings of CLIP's words. The bracketed classes are as the files have them.
constexpr const char* kClipWords = R"('s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)";
constexpr const char* kSpecialWords = R"(<\|startoftext\|>|<\|endoftext\|>|)";

[[noreturn]] void Bad(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::kBadFile, where + ": " + what);
}

[[noreturn]] void Refuse(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::kUnsupported, where + ": " + what + " is not supported");
}

const json* Member(const json& step, const char* name) {
  const auto found = step.find(name);
  return found == step.end() || found->is_null() ? nullptr : &*found;
}

std::string Text(const json& step, const char* name, const std::string& where) {
  const json* value = Member(step, name);
  if (value == nullptr || !value->is_string()) Bad(where, std::string(name) + " must be a string");
  return value->get<std::string>();
}

bool Flag(const json& step, const char* name, bool otherwise, const std::string& where) {
  const json* value = Member(step, name);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) Bad(where, std::string(name) + " must be true or false");
  return value->get<bool>();
}

// {"Regex": "..."} or {"String": "..."}
struct Pattern {
  bool regex = false;
  std::string text;
};

Pattern ParsePattern(const json& step, const std::string& where) {
  const json* value = Member(step, "pattern");
  if (value == nullptr || !value->is_object()) Bad(where, "pattern must be an object");
  if (value->contains("Regex")) return {true, Text(*value, "Regex", where)};
  return {false, Text(*value, "String", where)};
}

std::string DecodeBase64(std::string_view text, const std::string& where) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) Bad(where, "precompiled_charsmap is not base64");
    bits = (bits << 6 | static_cast<uint32_t>(digit)) & 0xffff;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out.push_back(static_cast<char>(bits >> count & 0xff));
  }
  return out;
}

// Newer files say when a mark is put in front, older ones whether.
void ParseMetaspace(const json& step, const std::string& where, TextSteps& out) {
  SplitMarks marks;
  if (Member(step, "replacement") != nullptr) {
    const std::u32string mark = unicode::Decode(Text(step, "replacement", where));
    if (mark.size() != 1) Bad(where, "replacement must be one character");
    marks.mark = mark[0];
  }
  marks.prepend = Flag(step, "add_prefix_space", true, where);
  marks.split = Flag(step, "split", true, where);
  if (Member(step, "prepend_scheme") != nullptr) {
    const std::string scheme = Text(step, "prepend_scheme", where);
    if (scheme != "always" && scheme != "first" && scheme != "never") {
      Refuse(where, "prepend_scheme " + Printable(scheme));
    }
    marks.prepend = scheme != "never";
    marks.only_first = scheme == "first";
  }
  out.splits.push_back(marks);
}

void ParseReplace(const json& step, const std::string& where, TextSteps& out) {
  const Pattern pattern = ParsePattern(step, where);
  const std::u32string content = unicode::Decode(Text(step, "content", where));
  if (!pattern.regex) {
    if (pattern.text.empty()) Bad(where, "pattern is empty");
    out.normalizer.push_back(ReplaceText{unicode::Decode(pattern.text), content});
  } else if (pattern.text == "\\s+") {
    out.normalizer.push_back(ReplaceSpaces{content});
  } else if (pattern.text == " {2,}") {
    out.normalizer.push_back(ReplaceBlanks{content});
  } else {
    Refuse(where, "Replace of " + Printable(pattern.text));
  }
}

void ParseNormalizer(const json& step, const std::string& where, TextSteps& out) {
  if (!step.is_object()) Bad(where, "must be an object, but is " + Brief(step));
  const std::string type = Text(step, "type", where);
  if (type == "Sequence") {
    const json* list = Member(step, "normalizers");
    if (list == nullptr || !list->is_array()) Bad(where, "normalizers must be a list");
    for (const json& item : *list) ParseNormalizer(item, where, out);
  } else if (type == "NFC") {
    out.normalizer.push_back(NormalForm{unicode::Form::kNfc});
  } else if (type == "NFD") {
    out.normalizer.push_back(NormalForm{unicode::Form::kNfd});
  } else if (type == "NFKC") {
    out.normalizer.push_back(NormalForm{unicode::Form::kNfkc});
  } else if (type == "NFKD") {
    out.normalizer.push_back(NormalForm{unicode::Form::kNfkd});
  } else if (type == "Lowercase") {
    out.normalizer.push_back(LowercaseAll{});
  } else if (type == "Replace") {
    ParseReplace(step, where, out);
  } else if (type == "Prepend") {
    out.normalizer.push_back(PrependText{unicode::Decode(Text(step, "prepend", where))});
  } else if (type == "Precompiled") {
    if (Member(step, "precompiled_charsmap") == nullptr) return;
    const std::string bytes = DecodeBase64(Text(step, "precompiled_charsmap", where), where);
    out.normalizer.push_back(
        ApplyCharsmap{std::make_shared<const Charsmap>(Charsmap::Parse(bytes, where))});
  } else if (type == "Strip") {
    out.normalizer.push_back(
        StripEnds{Flag(step, "strip_left", true, where), Flag(step, "strip_right", true, where)});
  } else {
    Refuse(where, Printable(type));
  }
}

void ParseSplit(const json& step, const std::string& where, TextSteps& out) {
  const Pattern pattern = ParsePattern(step, where);
  const bool plain = pattern.regex && pattern.text == kClipWords;
  const bool specials = pattern.regex && pattern.text == std::string(kSpecialWords) + kClipWords;
  if (!plain && !specials) Refuse(where, "Split by " + Printable(pattern.text));
  const std::string behavior = Text(step, "behavior", where);
  if (behavior != "Removed" || !Flag(step, "invert", false, where)) {
    Refuse(where, "Split with behavior " + Printable(behavior) + " of what does not match");
  }
  out.splits.push_back(SplitClipWords{specials});
}

void ParsePreTokenizer(const json& step, const std::string& where, TextSteps& out) {
  if (!step.is_object()) Bad(where, "must be an object, but is " + Brief(step));
  const std::string type = Text(step, "type", where);
  if (type == "Sequence") {
    const json* list = Member(step, "pretokenizers");
    if (list == nullptr || !list->is_array()) Bad(where, "pretokenizers must be a list");
    for (const json& item : *list) ParsePreTokenizer(item, where, out);
  } else if (type == "Split") {
    ParseSplit(step, where, out);
  } else if (type == "ByteLevel") {
    out.splits.push_back(SplitByteLevel{Flag(step, "add_prefix_space", true, where),
                                        Flag(step, "use_regex", true, where)});
  } else if (type == "WhitespaceSplit") {
    out.splits.push_back(SplitSpaces{});
  } else if (type == "Metaspace") {
    ParseMetaspace(step, where, out);
  } else {
    Refuse(where, Printable(type));
  }
}

}  // namespace

TextSteps TextSteps::Parse(const json& tokenizer, const std::string& where, bool bytes) {
  TextSteps out;
  if (const json* step = Member(tokenizer, "normalizer")) {
    ParseNormalizer(*step, where + ": normalizer", out);
  }
  if (const json* step = Member(tokenizer, "pre_tokenizer")) {
    ParsePreTokenizer(*step, where + ": pre_tokenizer", out);
  }
  // Byte symbols come from ByteLevel, once and last; anything else is another kind of vocabulary.
  size_t byte_levels = 0;
  for (const SplitStep& step : out.splits)
    byte_levels += std::holds_alternative<SplitByteLevel>(step);
  if (!bytes) {
    if (byte_levels > 0) Refuse(where + ": pre_tokenizer", "ByteLevel before a unigram model");
    return out;
  }
  for (const SplitStep& step : out.splits) {
    if (std::holds_alternative<SplitSpaces>(step) || std::holds_alternative<SplitMarks>(step)) {
      Refuse(where + ": pre_tokenizer", "Metaspace or WhitespaceSplit before byte pairs");
    }
  }
  if (byte_levels != 1 || !std::holds_alternative<SplitByteLevel>(out.splits.back())) {
    Refuse(where + ": pre_tokenizer", "a tokenizer that does not end with ByteLevel");
  }
  return out;
}

}  // namespace fovea
