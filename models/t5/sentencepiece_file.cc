#include "models/t5/sentencepiece_file.h"

#include <cstring>

#include "models/clip/unicode_text.h"
#include "tensor/error.h"

namespace fovea {
namespace {

// A protobuf message, field by field.
class Message {
 public:
  Message(std::string_view bytes, const std::string& where) : rest_(bytes), where_(where) {}

  uint64_t field = 0;
  uint64_t number = 0;     // of a varint, or the bits of a fixed one
  std::string_view bytes;  // of a string or message

  // The next field, or false at the end.
  bool Next() {
    if (rest_.empty()) return false;
    const uint64_t tag = Varint();
    field = tag >> 3;
    type_ = static_cast<int>(tag & 7);
    bytes = {};
    switch (type_) {
      case 0:
        number = Varint();
        break;
      case 1:
        number = Fixed(8);
        break;
      case 2:
        bytes = Take(Varint());
        break;
      case 5:
        number = Fixed(4);
        break;
      default:
        Bad("a field of type " + std::to_string(type_));
    }
    return true;
  }
  bool Is(uint64_t wanted, int type) const {
    if (field != wanted) return false;
    if (type_ != type) Bad("field " + std::to_string(field) + " of another type");
    return true;
  }
  [[noreturn]] void Bad(const std::string& what) const {
    throw Error(ErrorCode::kBadFile, where_ + ": is no sentencepiece model: it has " + what);
  }

 private:
  std::string_view Take(uint64_t count) {
    if (count > rest_.size()) Bad("a field that is longer than what holds it");
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<uint8_t>(Take(1)[0]);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    Bad("a number of more than 64 bits");
  }
  uint64_t Fixed(size_t count) {
    uint64_t value = 0;
    const std::string_view taken = Take(count);
    for (size_t i = count; i-- > 0;) value = value << 8 | static_cast<uint8_t>(taken[i]);
    return value;
  }

  std::string_view rest_;
  const std::string& where_;
  int type_ = 0;
};

constexpr int kNumber = 0, kBytes = 2, kFloat = 5;
constexpr size_t kMaxPieces = size_t{1} << 22;

SentencePieceFile::Piece ParsePiece(std::string_view bytes, const std::string& where) {
  SentencePieceFile::Piece piece;
  Message message(bytes, where);
  while (message.Next()) {
    if (message.Is(1, kBytes)) {
      piece.text = message.bytes;
      if (unicode::Encode(unicode::Decode(piece.text)) != piece.text) {
        message.Bad("a piece that is not UTF-8");
      }
    } else if (message.Is(2, kFloat)) {
      const auto bits = static_cast<uint32_t>(message.number);
      std::memcpy(&piece.score, &bits, sizeof bits);
      if (!(piece.score - piece.score == 0)) message.Bad("a score that is not finite");
    } else if (message.Is(3, kNumber)) {
      if (message.number < 1 || message.number > 6) message.Bad("a piece of unknown kind");
      piece.kind = static_cast<SentencePieceFile::Kind>(message.number);
    }
  }
  return piece;
}

}  // namespace

SentencePieceFile SentencePieceFile::Parse(std::string_view bytes, const std::string& where) {
  SentencePieceFile file;
  Message model(bytes, where);
  while (model.Next()) {
    if (model.Is(1, kBytes)) {
      if (file.pieces.size() == kMaxPieces) model.Bad("too many pieces");
      file.pieces.push_back(ParsePiece(model.bytes, where));
    } else if (model.Is(2, kBytes)) {  // how it was trained
      Message trainer(model.bytes, where);
      while (trainer.Next()) {
        if (trainer.Is(3, kNumber) && trainer.number != 1) {
          throw Error(ErrorCode::kUnsupported,
                      where + ": a sentencepiece model of type " + std::to_string(trainer.number) +
                          " is not supported; T5's are unigram models (1)");
        }
        if (trainer.Is(35, kNumber)) file.byte_fallback = trainer.number != 0;
        if (trainer.Is(40, kNumber)) file.unknown_id = static_cast<int64_t>(trainer.number);
      }
    } else if (model.Is(3, kBytes)) {  // how text is normalised
      Message normalizer(model.bytes, where);
      while (normalizer.Next()) {
        if (normalizer.Is(2, kBytes)) file.charsmap = normalizer.bytes;
      }
    }
  }
  if (file.pieces.empty()) model.Bad("no pieces");
  return file;
}

}  // namespace fovea
