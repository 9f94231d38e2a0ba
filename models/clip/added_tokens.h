// Tokens that are found in the text before it is cut into words: <|endoftext|> and what users add.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace fovea {

// With the meaning that the tokenizers library gives to these flags.
struct AddedToken {
  std::string content;
  int32_t id = -1;
  bool single_word = false;                      // only where no word character touches it
  bool left_strip = false, right_strip = false;  // takes the white space beside it
  bool normalized = false;                       // is searched in the normalised text
};

struct TextPart {
  std::u32string_view text;
  std::optional<int32_t> id;  // of the token that stands there
};

// Finds the leftmost, longest tokens of one set.
class TokenFinder {
 public:
  void Add(const AddedToken& token, const std::u32string& pattern);  // an empty pattern is ignored
  // Cuts `text` into tokens and the text between them, in order; empty parts are left out.
  std::vector<TextPart> Cut(std::u32string_view text) const;

 private:
  struct Entry {
    std::u32string pattern;
    AddedToken token;
  };
  const Entry* Match(std::u32string_view text) const;  // the longest that `text` starts with
  std::unordered_map<char32_t, std::vector<Entry>> by_first_;  // longest first
};

}  // namespace fovea
