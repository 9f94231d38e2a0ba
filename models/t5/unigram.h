// A unigram language model's segmentation: the pieces of a word with the highest sum of scores.
//
// Kudo, "Subword Regularization" (2018). Viterbi with sentencepiece's and tokenizers' rules: of
// equal sums the one found first, from left to right and from short to long, holds; a character
// that is no piece costs ten less than the worst score; unknown neighbours become one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace fovea {

struct UnigramPiece {
  std::string text;
  double score = 0;
};

class Unigram {
 public:
  struct Options {
    int64_t unknown = -1;        // the id of what is no piece
    bool byte_fallback = false;  // unknown text as pieces <0x00> to <0xFF>, where all are there
  };
  // Ids are positions in `pieces`. Throws kBadFile with `where` in front if there are none, or
  // `unknown` is none of them.
  Unigram(const std::vector<UnigramPiece>& pieces, const Options& options,
          const std::string& where);

  // Appends the ids of one word, which must be UTF-8.
  void Encode(std::string_view word, std::vector<int32_t>& ids) const;

 private:
  struct Step {
    double score = 0;
    size_t begin = kNone;
    int32_t id = -1;
  };
  static constexpr size_t kNone = static_cast<size_t>(-1);

  void Reach(Step& end, double score, size_t begin, int32_t id) const;
  void Append(std::string_view text, std::vector<int32_t>& ids) const;

  Options options_;
  double unknown_score_ = 0;
  std::unordered_map<std::string, int32_t> ids_;  // of equal pieces the last
  std::vector<double> scores_;                    // by id
  // A trie: the child of a node (from 0, the root) at a byte, by node * 256 + byte.
  std::unordered_map<uint64_t, uint32_t> children_;
  std::vector<int32_t> node_ids_;  // of the piece that ends at a node, or -1
};

}  // namespace fovea
