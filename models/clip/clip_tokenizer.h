// CLIP's byte-pair tokenizer, from vocab.json + merges.txt or from tokenizer.json alone.
//
// Same ids as transformers' CLIPTokenizer / CLIPTokenizerFast for any text, unusual Unicode
// included.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace fovea {

// What a token stands for in a text: of "cat</w>" the bytes are "cat", and a word ends. Bytes of
// one letter may stand in several tokens.
struct TokenSpelling {
  std::string bytes;
  bool ends_word = false;
};

class ClipTokenizer {
 public:
  // A folder that holds either form (and tokenizer_config.json / special_tokens_map.json if any).
  // The latter two of `settings`, where given and there, win over the folder's own. Throws kBadFile
  // naming the file.
  static std::unique_ptr<ClipTokenizer> Open(const std::filesystem::path& folder,
                                             const std::filesystem::path& settings = {});
  // Pure; fuzzed.
  static std::unique_ptr<ClipTokenizer> FromVocabAndMerges(std::string_view vocab_json,
                                                           std::string_view merges_txt,
                                                           const std::string& where);
  static std::unique_ptr<ClipTokenizer> FromTokenizerJson(std::string_view text,
                                                          const std::string& where);
  ~ClipTokenizer();

  // Ids of the text alone: no start, end or padding, any length.
  std::vector<int32_t> Encode(std::string_view utf8) const;
  // Start, at most length-2 ids, end, then padding up to `length`. `truncated` may be null; it
  // receives the text pieces that were cut.
  std::vector<int32_t> EncodePadded(std::string_view utf8, int length,
                                    std::vector<std::string>* truncated = nullptr) const;
  std::string Token(int32_t id) const;  // as in the vocabulary, "</w>" included
  TokenSpelling Spelling(int32_t id) const;
  int32_t Start() const;
  int32_t End() const;
  int32_t Pad() const;
  int Length() const;  // model_max_length; 77 if the files do not say
  int Vocabulary() const;

 private:
  struct Data;
  explicit ClipTokenizer(std::unique_ptr<Data> data);
  std::unique_ptr<Data> data_;
};

}  // namespace fovea
