// T5's tokenizer: a unigram model, from tokenizer.json or from sentencepiece's spiece.model.
//
// Same ids as transformers' T5Tokenizer for a spiece.model and as the tokenizers library for a
// tokenizer.json, for any text, unusual Unicode included. sentencepiece itself takes the longest
// rule of its charsmap where those take a cluster's shortest: a space with a mark upon it, for one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace fovea {

struct T5Window {
  std::vector<int32_t> ids;  // the text's, the end, padding
  int count = 0;             // of them, before the padding
};

class T5Tokenizer {
 public:
  // A folder that holds either form (tokenizer.json wins), and tokenizer_config.json if any. The
  // latter of `settings`, where given and there, wins over the folder's own. Throws kBadFile naming
  // the file, kUnsupported for steps that we lack.
  static std::unique_ptr<T5Tokenizer> Open(const std::filesystem::path& folder,
                                           const std::filesystem::path& settings = {});
  // Pure; fuzzed.
  static std::unique_ptr<T5Tokenizer> FromSentencePiece(std::string_view model,
                                                        const std::string& where);
  static std::unique_ptr<T5Tokenizer> FromTokenizerJson(std::string_view text,
                                                        const std::string& where);
  ~T5Tokenizer();

  // Ids of the text alone: no end, no padding, any length.
  std::vector<int32_t> Encode(std::string_view utf8) const;
  // At most length-1 ids, the end, then padding up to `length` >= 1. `truncated` may be null; it
  // receives the text that was cut.
  T5Window EncodePadded(std::string_view utf8, int length, std::string* truncated = nullptr) const;
  std::string Token(int32_t id) const;  // as in the vocabulary, with "▁" (U+2581) for spaces
  int32_t End() const;
  int32_t Pad() const;
  int Length() const;      // model_max_length; 512 if the files do not say
  int Vocabulary() const;  // the largest id and one

 private:
  struct Data;
  explicit T5Tokenizer(std::unique_ptr<Data> data);
  std::unique_ptr<Data> data_;
};

}  // namespace fovea
