// sentencepiece's spiece.model: the members of its protobuf that a unigram tokenizer needs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fovea {

struct SentencePieceFile {
  enum class Kind : uint8_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };
  struct Piece {
    std::string text;
    float score = 0;
    Kind kind = Kind::kNormal;
  };
  std::vector<Piece> pieces;
  int64_t unknown_id = 0;
  bool byte_fallback = false;
  std::string charsmap;  // empty: none

  // Throws kBadFile with `where` in front, kUnsupported for other models than unigram. Pure;
  // fuzzed.
  static SentencePieceFile Parse(std::string_view bytes, const std::string& where);
};

}  // namespace fovea
