// sentencepiece's compiled normalisation rules: a double-array trie of what is replaced, and what
// replaces it.
//
// Bytes: the trie's size in bytes (u32, little-endian), its units (u32 each), then replacements in
// UTF-8, each ended by a zero. Applied as the tokenizers library does it: to every grapheme cluster
// of fewer than six bytes, else to its characters, and by the shortest rule that it begins with.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fovea {

class Charsmap {
 public:
  // Throws kBadFile with `where` in front. Pure; fuzzed.
  static Charsmap Parse(std::string_view bytes, const std::string& where);
  std::u32string Normalize(std::u32string_view text) const;

 private:
  // The replacement of the shortest rule that `utf8` begins with.
  bool Find(std::string_view utf8, std::string_view* replacement) const;

  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace fovea
