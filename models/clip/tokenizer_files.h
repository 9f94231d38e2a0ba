// What a tokenizer's files say, in one structure, whichever form they have.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/clip/added_tokens.h"
#include "models/clip/byte_pairs.h"
#include "models/clip/text_steps.h"
#include "models/t5/unigram.h"

namespace fovea {

enum class TokenizerKind : uint8_t { kBytePairs, kUnigram };  // CLIP's, T5's

// The texts of a folder's files; those that are absent are empty.
struct TokenizerTexts {
  TokenizerKind kind = TokenizerKind::kBytePairs;
  std::string where;                              // the folder, for messages
  std::optional<std::string> vocab, merges;       // vocab.json, merges.txt
  std::optional<std::string> sentencepiece;       // spiece.model
  std::optional<std::string> tokenizer;           // tokenizer.json; wins over those above
  std::optional<std::string> config;              // tokenizer_config.json
  std::optional<std::string> special_tokens_map;  // special_tokens_map.json
  std::optional<std::string> added_tokens;        // added_tokens.json
};

struct TokenizerSpec {
  std::string where;
  Vocabulary vocabulary;
  std::vector<std::pair<std::string, std::string>> merges;  // in order of rank
  BytePairs::Options options;
  std::vector<UnigramPiece> pieces;  // of T5's kind, instead of merges; by id
  Unigram::Options unigram;
  TextSteps steps;
  std::vector<AddedToken> added;           // each content once, ids set
  int32_t start = -1, end = -1, pad = -1;  // start is -1 for T5, which has none
  int length = 77;                         // 512 for T5
};

// `config` and `special_tokens_map` are those of `settings` where it has them. Throws kBadFile if
// there is no tokenizer.
TokenizerTexts ReadTokenizerTexts(const std::filesystem::path& folder,
                                  const std::filesystem::path& settings = {},
                                  TokenizerKind kind = TokenizerKind::kBytePairs);
// Throws kBadFile, or kUnsupported for kinds of tokenizers and steps that we lack. Pure.
TokenizerSpec ParseTokenizer(const TokenizerTexts& texts);

}  // namespace fovea
