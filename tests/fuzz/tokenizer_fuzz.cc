// Fuzzes the tokenizer's files and the text it encodes.
#include "models/clip/clip_tokenizer.h"
#include "models/clip/tokenizer_files.h"
#include "models/clip/unicode_text.h"
#include "tests/fuzz/fuzz_target.h"

namespace fovea {
namespace {

// The parts of an input are separated by this byte, which is never UTF-8.
constexpr char kSeparator = '\xfe';

constexpr const char* kVocab =
    R"({"a":0,"b":1,"!":2,"a</w>":3,"b</w>":4,"ab":5,"ab</w>":6,"<|startoftext|>":7,"<|endoftext|>":8})";
constexpr const char* kMerges = "#version: 0.2\na b\na b</w>\n";
constexpr const char* kText = "ab aB!b 'll caf\u00e9 e\u0301 <|endoftext|> \u4e2d 42";

std::string Join(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts)
    out += (out.empty() ? "" : std::string(1, kSeparator)) + part;
  return out;
}

std::vector<std::string> Cut(std::string_view text) {
  std::vector<std::string> out;
  while (out.size() < 4) {
    const size_t end = std::min(text.find(kSeparator), text.size());
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

void Use(const ClipTokenizer& tokenizer, const std::string& text) {
  for (const int32_t id : tokenizer.Encode(text)) {
    if (id < 0 || tokenizer.Token(id).empty()) std::abort();
  }
  std::vector<std::string> cut;
  if (tokenizer.EncodePadded(text, 8, &cut).size() != 8) std::abort();
}

// A tokenizer that always loads, for inputs that are only text.
const ClipTokenizer& Whole() {
  static const auto tokenizer = ClipTokenizer::FromVocabAndMerges(kVocab, kMerges, "whole");
  return *tokenizer;
}

}  // namespace

std::vector<std::string> FuzzSeeds() {
  const std::string model = std::string(R"("model":{"type":"BPE","unk_token":"<|endoftext|>",)") +
                            R"("end_of_word_suffix":"</w>","fuse_unk":false,"vocab":)" + kVocab +
                            R"(,"merges":["a b",["a","b</w>"]]}})";
  const std::string split =
      R"("pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":)"
      R"("'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+"},"behavior":"Removed",)"
      R"("invert":true},{"type":"ByteLevel","add_prefix_space":false}]},)";
  return {
      Join({kText, kVocab, kMerges,
            R"({"model_max_length":77,"pad_token":"!","added_tokens_decoder":)"
            R"({"9":{"content":"<x>","lstrip":true,"normalized":true}}})"}),
      Join(
          {kText, R"({"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":)"
                  R"("Replace","pattern":{"Regex":"\\s+"},"content":" "},{"type":"Lowercase"}]},)" +
                      split + R"("added_tokens":[{"id":8,"content":"<|endoftext|>"}],)" + model}),
      Join({kText, R"({"normalizer":{"type":"Strip"},"post_processor":{"type":"RobertaProcessing",)"
                   R"("sep":["<|endoftext|>",8],"cls":["<|startoftext|>",7]},)"
                   R"("pre_tokenizer":{"type":"ByteLevel","add_prefix_space":true},)" +
                       model}),
      "e\u0301\u0327 \uac00\u11a8 \u0130 \u1e9e\xf0\x9f\x98\x80\xed\xa0\x80\xff 'll<|endoftext|>",
  };
}

}  // namespace fovea

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fovea;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::vector<std::string> parts = Cut(input);
  RefusesOrReads([&] { Use(Whole(), parts[0]); });
  for (const auto form : {unicode::Form::kNfc, unicode::Form::kNfkd}) {
    // What was decoded and normalised is encoded without loss.
    const std::u32string text = unicode::Normalize(unicode::Decode(parts[0]), form);
    if (unicode::Decode(unicode::Encode(text)) != text) std::abort();
  }
  RefusesOrReads([&] { Use(*ClipTokenizer::FromTokenizerJson(parts[1], "x"), parts[0]); });
  RefusesOrReads(
      [&] { Use(*ClipTokenizer::FromVocabAndMerges(parts[1], parts[2], "x"), parts[0]); });
  RefusesOrReads([&] {
    TokenizerTexts texts;
    texts.vocab = parts[1];
    texts.merges = parts[2];
    texts.config = texts.special_tokens_map = texts.added_tokens = parts[3];
    ParseTokenizer(texts);
  });
  return 0;
}
