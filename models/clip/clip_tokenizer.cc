#include "models/clip/clip_tokenizer.h"

#include "models/clip/tokenizer_files.h"
#include "models/clip/unicode_text.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr size_t kMaxTextBytes = size_t{64} << 20;

TokenSpelling Spell(std::string_view token, const std::string& end_of_word) {
  TokenSpelling out;
  out.ends_word = end_of_word.empty() || token.ends_with(end_of_word);
  if (out.ends_word) token.remove_suffix(end_of_word.size());
  for (const char32_t symbol : unicode::Decode(token)) {
    const int byte = SymbolByte(symbol);
    if (byte < 0) return {std::string(token), true};  // an added token: its text as it is
    out.bytes.push_back(static_cast<char>(byte));
  }
  return out;
}

}  // namespace

struct ClipTokenizer::Data {
  explicit Data(TokenizerSpec s)
      : spec(std::move(s)), pairs(spec.vocabulary, spec.merges, spec.options, spec.where) {
    for (const auto& [token, id] : spec.vocabulary) {
      const std::string*& place = Place(id);
      if (place != nullptr) {
        throw Error(ErrorCode::kBadFile,
                    spec.where + ": two tokens have the id " + std::to_string(id));
      }
      place = &token;
    }
    spec.merges = {};
    size = static_cast<int>(spec.vocabulary.size());
    for (const AddedToken& token : spec.added) {
      const std::string*& place = Place(token.id);
      if (place == nullptr) ++size;
      place = &token.content;
      const std::u32string content = unicode::Decode(token.content);
      if (token.normalized) {
        in_normalized.Add(token, spec.steps.Normalize(content));
      } else {
        in_text.Add(token, content);
      }
    }
  }

  TokenizerSpec spec;
  BytePairs pairs;
  TokenFinder in_text, in_normalized;
  std::vector<const std::string*> tokens;  // by id, into `spec`; null: no such token
  int size = 0;                            // how many there are

 private:
  const std::string*& Place(int32_t id) {
    if (static_cast<size_t>(id) >= tokens.size()) tokens.resize(static_cast<size_t>(id) + 1);
    return tokens[static_cast<size_t>(id)];
  }
};

ClipTokenizer::ClipTokenizer(std::unique_ptr<Data> data) : data_(std::move(data)) {}
ClipTokenizer::~ClipTokenizer() = default;

std::unique_ptr<ClipTokenizer> ClipTokenizer::Open(const std::filesystem::path& folder,
                                                   const std::filesystem::path& settings) {
  auto data = std::make_unique<Data>(ParseTokenizer(ReadTokenizerTexts(folder, settings)));
  return std::unique_ptr<ClipTokenizer>(new ClipTokenizer(std::move(data)));
}

std::unique_ptr<ClipTokenizer> ClipTokenizer::FromVocabAndMerges(std::string_view vocab_json,
                                                                 std::string_view merges_txt,
                                                                 const std::string& where) {
  TokenizerTexts texts;
  texts.where = where;
  texts.vocab = std::string(vocab_json);
  texts.merges = std::string(merges_txt);
  auto data = std::make_unique<Data>(ParseTokenizer(texts));
  return std::unique_ptr<ClipTokenizer>(new ClipTokenizer(std::move(data)));
}

std::unique_ptr<ClipTokenizer> ClipTokenizer::FromTokenizerJson(std::string_view text,
                                                                const std::string& where) {
  TokenizerTexts texts;
  texts.where = where;
  texts.tokenizer = std::string(text);
  auto data = std::make_unique<Data>(ParseTokenizer(texts));
  return std::unique_ptr<ClipTokenizer>(new ClipTokenizer(std::move(data)));
}

std::vector<int32_t> ClipTokenizer::Encode(std::string_view utf8) const {
  if (utf8.size() > kMaxTextBytes) {
    throw Error(ErrorCode::kUsage, "text of " + std::to_string(utf8.size()) + " bytes; at most " +
                                       std::to_string(kMaxTextBytes) + " are read");
  }
  std::vector<int32_t> ids;
  const auto encode_word = [&](std::u32string_view word) {
    data_->pairs.Encode(unicode::Encode(word), ids);
  };
  const std::u32string text = unicode::Decode(utf8);
  for (const TextPart& part : data_->in_text.Cut(text)) {
    if (part.id) {
      ids.push_back(*part.id);
      continue;
    }
    const std::u32string normalized = data_->spec.steps.Normalize(part.text);
    for (const TextPart& piece : data_->in_normalized.Cut(normalized)) {
      if (piece.id) {
        ids.push_back(*piece.id);
      } else {
        data_->spec.steps.Split(piece.text, encode_word);
      }
    }
  }
  return ids;
}

std::vector<int32_t> ClipTokenizer::EncodePadded(std::string_view utf8, int length,
                                                 std::vector<std::string>* truncated) const {
  ENSURE(length >= 2, "a text window needs room for its start and end");
  const std::vector<int32_t> ids = Encode(utf8);
  const size_t kept = std::min(ids.size(), static_cast<size_t>(length) - 2);
  std::vector<int32_t> out;
  out.reserve(static_cast<size_t>(length));
  out.push_back(Start());
  out.insert(out.end(), ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(kept));
  out.push_back(End());
  out.resize(static_cast<size_t>(length), Pad());
  if (truncated == nullptr) return out;

  truncated->clear();
  bool new_word = true;
  for (size_t i = kept; i < ids.size(); ++i) {
    const TokenSpelling spelling = Spelling(ids[i]);
    if (new_word) truncated->emplace_back();
    truncated->back() += spelling.bytes;
    new_word = spelling.ends_word;
  }
  return out;
}

std::string ClipTokenizer::Token(int32_t id) const {
  const auto& tokens = data_->tokens;
  if (id < 0 || static_cast<size_t>(id) >= tokens.size() ||
      tokens[static_cast<size_t>(id)] == nullptr) {
    throw Error(ErrorCode::kUsage, "token " + std::to_string(id) + " is not in the vocabulary");
  }
  return *tokens[static_cast<size_t>(id)];
}

TokenSpelling ClipTokenizer::Spelling(int32_t id) const {
  return Spell(Token(id), data_->spec.options.end_of_word);
}

int32_t ClipTokenizer::Start() const {
  return data_->spec.start;
}
int32_t ClipTokenizer::End() const {
  return data_->spec.end;
}
int32_t ClipTokenizer::Pad() const {
  return data_->spec.pad;
}
int ClipTokenizer::Length() const {
  return data_->spec.length;
}
int ClipTokenizer::Vocabulary() const {
  return static_cast<int>(data_->tokens.size());
}

}  // namespace fovea
