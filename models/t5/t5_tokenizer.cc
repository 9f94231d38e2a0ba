#include "models/t5/t5_tokenizer.h"

#include <algorithm>

#include "models/clip/tokenizer_files.h"
#include "models/clip/unicode_text.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr size_t kMaxTextBytes = size_t{64} << 20;

}  // namespace

struct T5Tokenizer::Data {
  explicit Data(TokenizerSpec s)
      : spec(std::move(s)), unigram(spec.pieces, spec.unigram, spec.where) {
    for (const UnigramPiece& piece : spec.pieces) tokens.push_back(piece.text);
    for (const AddedToken& token : spec.added) {
      const auto id = static_cast<size_t>(token.id);
      if (id >= tokens.size()) tokens.resize(id + 1);
      tokens[id] = token.content;
      const std::u32string content = unicode::Decode(token.content);
      if (token.normalized) {
        in_normalized.Add(token, spec.steps.Normalize(content));
      } else {
        in_text.Add(token, content);
      }
    }
  }

  TokenizerSpec spec;
  Unigram unigram;
  TokenFinder in_text, in_normalized;
  std::vector<std::string> tokens;  // by id
};

T5Tokenizer::T5Tokenizer(std::unique_ptr<Data> data) : data_(std::move(data)) {}
T5Tokenizer::~T5Tokenizer() = default;

std::unique_ptr<T5Tokenizer> T5Tokenizer::Open(const std::filesystem::path& folder,
                                               const std::filesystem::path& settings) {
  auto data = std::make_unique<Data>(
      ParseTokenizer(ReadTokenizerTexts(folder, settings, TokenizerKind::kUnigram)));
  return std::unique_ptr<T5Tokenizer>(new T5Tokenizer(std::move(data)));
}

std::unique_ptr<T5Tokenizer> T5Tokenizer::FromSentencePiece(std::string_view model,
                                                            const std::string& where) {
  TokenizerTexts texts;
  texts.kind = TokenizerKind::kUnigram;
  texts.where = where;
  texts.sentencepiece = std::string(model);
  auto data = std::make_unique<Data>(ParseTokenizer(texts));
  return std::unique_ptr<T5Tokenizer>(new T5Tokenizer(std::move(data)));
}

std::unique_ptr<T5Tokenizer> T5Tokenizer::FromTokenizerJson(std::string_view text,
                                                            const std::string& where) {
  TokenizerTexts texts;
  texts.kind = TokenizerKind::kUnigram;
  texts.where = where;
  texts.tokenizer = std::string(text);
  auto data = std::make_unique<Data>(ParseTokenizer(texts));
  return std::unique_ptr<T5Tokenizer>(new T5Tokenizer(std::move(data)));
}

std::vector<int32_t> T5Tokenizer::Encode(std::string_view utf8) const {
  if (utf8.size() > kMaxTextBytes) {
    throw Error(ErrorCode::kUsage, "text of " + std::to_string(utf8.size()) + " bytes; at most " +
                                       std::to_string(kMaxTextBytes) + " are read");
  }
  std::vector<int32_t> ids;
  const auto encode_word = [&](std::u32string_view word) {
    data_->unigram.Encode(unicode::Encode(word), ids);
  };
  const std::u32string text = unicode::Decode(utf8);
  for (const TextPart& part : data_->in_text.Cut(text)) {
    if (part.id) {
      ids.push_back(*part.id);
      continue;
    }
    const std::u32string normalized = data_->spec.steps.Normalize(part.text);
    const bool first = part.text.data() == text.data();
    for (const TextPart& piece : data_->in_normalized.Cut(normalized)) {
      if (piece.id) {
        ids.push_back(*piece.id);
      } else {
        data_->spec.steps.Split(piece.text, encode_word,
                                first && piece.text.data() == normalized.data());
      }
    }
  }
  return ids;
}

T5Window T5Tokenizer::EncodePadded(std::string_view utf8, int length,
                                   std::string* truncated) const {
  ENSURE(length >= 1, "a text window needs room for its end");
  T5Window window;
  window.ids = Encode(utf8);
  const size_t kept = std::min(window.ids.size(), static_cast<size_t>(length) - 1);
  if (truncated != nullptr) {
    std::u32string cut;
    for (size_t i = kept; i < window.ids.size(); ++i) {
      cut += unicode::Decode(Token(window.ids[i]));
    }
    std::replace(cut.begin(), cut.end(), U'\u2581', U' ');
    if (cut.starts_with(U' ')) cut.erase(0, 1);
    *truncated = unicode::Encode(cut);
  }
  window.ids.resize(kept);
  window.ids.push_back(End());
  window.count = static_cast<int>(window.ids.size());
  window.ids.resize(static_cast<size_t>(length), Pad());
  return window;
}

std::string T5Tokenizer::Token(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= data_->tokens.size()) {
    throw Error(ErrorCode::kUsage, "token " + std::to_string(id) + " is not in the vocabulary");
  }
  return data_->tokens[static_cast<size_t>(id)];
}

int32_t T5Tokenizer::End() const {
  return data_->spec.end;
}
int32_t T5Tokenizer::Pad() const {
  return data_->spec.pad;
}
int T5Tokenizer::Length() const {
  return data_->spec.length;
}
int T5Tokenizer::Vocabulary() const {
  return static_cast<int>(data_->tokens.size());
}

}  // namespace fovea
