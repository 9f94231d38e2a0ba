// Byte-pair encoding of single words (Sennrich et al., "Neural Machine Translation of Rare Words
// with Subword Units", 2016) over the 256 byte symbols of GPT-2.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace fovea {

using Vocabulary = std::unordered_map<std::string, int32_t>;

// How a byte is written in vocabularies: itself where it prints, else a letter from U+0100 on.
char32_t ByteSymbol(uint8_t byte);
// The byte of a symbol, or -1.
int SymbolByte(char32_t symbol);

class BytePairs {
 public:
  struct Options {
    std::string end_of_word;    // appended to the last symbol of a word: "</w>"
    std::string unknown_token;  // stands for a symbol that the vocabulary lacks; empty: dropped
    bool fuse_unknown = false;  // neighbouring unknown symbols become one
    bool whole_words = false;   // a word that is in the vocabulary is not merged together
  };
  // `merges` in order of rank. Throws kBadFile: a part or result of a merge, or an unknown token
  // that is needed, is not in the vocabulary.
  BytePairs(const Vocabulary& vocabulary,
            const std::vector<std::pair<std::string, std::string>>& merges, const Options& options,
            const std::string& where);

  // Appends the ids of one word. O(n log n) in its bytes.
  void Encode(std::string_view word, std::vector<int32_t>& ids) const;

 private:
  struct Merge {
    int32_t rank, result;
  };
  std::array<int32_t, 256> inner_{}, last_{};  // the id of each byte's symbol; -1: unknown
  std::unordered_map<uint64_t, Merge> merges_;
  std::unordered_map<std::string, int32_t> words_;  // whole_words: by bytes
  int32_t unknown_ = -1;
  bool fuse_unknown_ = false;
};

}  // namespace fovea
