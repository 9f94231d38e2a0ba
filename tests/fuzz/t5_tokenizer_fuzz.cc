// Fuzzes T5's tokenizer: spiece.model, tokenizer.json, charsmaps, and the text it encodes.
#include "models/t5/charsmap.h"
#include "models/t5/t5_tokenizer.h"
#include "tests/fuzz/fuzz_target.h"

namespace fovea {
namespace {

constexpr char kSeparator = '\xfe';  // between text and file; never UTF-8

void Use(const T5Tokenizer& tokenizer, const std::string& text) {
  for (const int32_t id : tokenizer.Encode(text)) {
    if (id < 0 || id >= tokenizer.Vocabulary()) std::abort();
  }
  std::string cut;
  const T5Window window = tokenizer.EncodePadded(text, 5, &cut);
  if (window.ids.size() != 5 || window.count < 1 || window.count > 5) std::abort();
}

std::string Field(int number, const std::string& bytes) {
  return std::string(1, static_cast<char>(number << 3 | 2)) +
         std::string(1, static_cast<char>(bytes.size())) + bytes;
}

std::string Piece(const std::string& text, const char* score, char kind) {
  return Field(1, Field(1, text) + "\x15" + std::string(score, 4) + "\x18" + std::string(1, kind));
}

// One rule: "a" becomes "bc".
std::string SmallCharsmap() {
  std::string units(256 * 4, '\0');
  const auto set = [&](size_t unit, uint32_t value) {
    for (size_t i = 0; i < 4; ++i) units[unit * 4 + i] = static_cast<char>(value >> (8 * i) & 0xff);
  };
  set(0, 1u << 10);                        // the root's children begin at 1
  set(1 ^ 'a', 'a' | 1u << 8 | 3u << 10);  // a leaf follows at an offset of 3
  set(1 ^ 'a' ^ 3, 0x80000000u);           // the replacement begins at 0
  const std::string size = {'\0', '\x04', '\0', '\0'};
  return size + units + std::string("bc\0", 3);
}

}  // namespace

std::vector<std::string> FuzzSeeds() {
  const std::string kLow("\0\0\x80\xc0", 4), kZero("\0\0\0\0", 4);
  const std::string pieces = Piece("<pad>", kZero.data(), 3) + Piece("</s>", kZero.data(), 3) +
                             Piece("<unk>", kZero.data(), 2) +
                             Piece("\xe2\x96\x81", kLow.data(), 1) + Piece("ab", kLow.data(), 1) +
                             Piece("c", kLow.data(), 1) + Field(2, "\x18\x01\xc0\x02\x02");
  const std::string json =
      R"({"added_tokens":[{"id":1,"content":"</s>"}],"normalizer":{"type":"Strip"},)"
      R"("pre_tokenizer":{"type":"Metaspace","replacement":"_","prepend_scheme":"first"},)"
      R"("model":{"type":"Unigram","unk_id":0,"byte_fallback":true,)"
      R"("vocab":[["<unk>",0],["</s>",0],["_",-1],["ab",-2.5],["<0xC3>",-3],["<pad>",0]]}})";
  const std::string text = "ab c </s> caf\u00e9 e\u0301<extra_id_0>";
  return {text + kSeparator + pieces, text + kSeparator + json, text + kSeparator + SmallCharsmap(),
          "a\u0301\u200d\u00a9\u200d\u00ae\r\n\u0600x"};
}

}  // namespace fovea

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fovea;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(input.find(kSeparator), input.size());
  const std::string text(input.substr(0, end));
  const std::string file(input.substr(std::min(end + 1, input.size())));
  RefusesOrReads([&] { Use(*T5Tokenizer::FromSentencePiece(file, "x"), text); });
  RefusesOrReads([&] { Use(*T5Tokenizer::FromTokenizerJson(file, "x"), text); });
  RefusesOrReads([&] {
    const Charsmap map = Charsmap::Parse(file, "x");
    std::u32string characters;
    for (const char c : text) characters.push_back(static_cast<uint8_t>(c) * 0x101u % 0x3100u);
    map.Normalize(characters);
  });
  return 0;
}
