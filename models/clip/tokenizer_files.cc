#include "models/clip/tokenizer_files.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "models/files/json_text.h"
#include "models/files/text_file.h"
#include "models/t5/sentencepiece_file.h"
#include "tensor/error.h"

namespace fovea {
namespace {

using nlohmann::json;

constexpr JsonLimits kLimits = {.bytes = size_t{64} << 20, .depth = 32};
constexpr int64_t kMaxId = (1 << 22) - 1;  // tokens are kept in a list by id

[[noreturn]] void Bad(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::kBadFile, where + ": " + what);
}

// ---- vocabulary and merges
// -----------------------------------------------------------------------

int32_t ParseId(const json& value, const std::string& where, const std::string& token) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() > static_cast<uint64_t>(kMaxId)) {
    Bad(where, "the id of token " + Printable(token, 60) + " must be an integer from 0 to " +
                   std::to_string(kMaxId) + ", but is " + Brief(value));
  }
  return value.get<int32_t>();
}

Vocabulary ParseVocabulary(const json& object, const std::string& where) {
  if (!object.is_object()) Bad(where, "the vocabulary must be an object, but is " + Brief(object));
  if (object.empty()) Bad(where, "the vocabulary is empty");
  Vocabulary out;
  out.reserve(object.size());
  for (const auto& [token, id] : object.items()) out.emplace(token, ParseId(id, where, token));
  return out;
}

std::pair<std::string, std::string> ParseMerge(std::string_view text, const std::string& where) {
  const size_t space = text.find(' ');
  if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
    Bad(where, "merge " + Printable(text, 60) + " must be two tokens with a space between them");
  }
  return {std::string(text.substr(0, space)), std::string(text.substr(space + 1))};
}

void ParseMergesText(std::string_view text, const std::string& where, TokenizerSpec& out) {
  out.merges.reserve(static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) + 1);
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with("#version")) continue;
    out.merges.push_back(ParseMerge(line, where));
  }
}

void ParseMergesList(const json& list, const std::string& where, TokenizerSpec& out) {
  if (!list.is_array()) Bad(where, "merges must be a list, but is " + Brief(list));
  out.merges.reserve(list.size());
  for (const json& item : list) {
    if (item.is_string()) {
      out.merges.push_back(ParseMerge(item.get_ref<const std::string&>(), where));
    } else if (item.is_array() && item.size() == 2 && item[0].is_string() && item[1].is_string()) {
      out.merges.emplace_back(item[0].get<std::string>(), item[1].get<std::string>());
    } else {
      Bad(where, "a merge must be two tokens, but is " + Brief(item));
    }
  }
}

// ---- special and added tokens
// --------------------------------------------------------------------

// What the files say of special tokens. transformers applies them in this order, so that the last
// flags given to a token are those that hold.
struct SpecialTokens {
  std::map<std::string, AddedToken> known;  // by content: flags that the files list
  std::vector<AddedToken> listed;           // in order of their ids in the file
  std::map<std::string, AddedToken> named;  // "bos_token", ...
};

bool Flag(const json& token, const char* name, bool otherwise, const std::string& where) {
  const auto found = token.find(name);
  if (found == token.end() || found->is_null()) return otherwise;
  if (!found->is_boolean()) Bad(where, std::string(name) + " must be true or false");
  return found->get<bool>();
}

AddedToken ParseAddedToken(const json& value, const std::string& where) {
  AddedToken out;
  if (value.is_string()) {
    out.content = value.get<std::string>();
    return out;
  }
  const auto content = value.is_object() ? value.find("content") : value.end();
  if (!value.is_object() || content == value.end() || !content->is_string()) {
    Bad(where, "a token must be a text or an object with a content, but is " + Brief(value));
  }
  out.content = content->get<std::string>();
  out.single_word = Flag(value, "single_word", false, where);
  out.left_strip = Flag(value, "lstrip", false, where);
  out.right_strip = Flag(value, "rstrip", false, where);
  out.normalized = Flag(value, "normalized", false, where);
  return out;
}

// In the order in which transformers adds them.
constexpr std::array<const char*, 7> kNames = {"bos_token", "eos_token", "unk_token", "sep_token",
                                               "pad_token", "cls_token", "mask_token"};

void ParseNamed(const json& object, const std::string& where, SpecialTokens& out) {
  for (const char* name : kNames) {
    const auto found = object.find(name);
    if (found == object.end()) continue;
    if (found->is_null()) {
      out.named.erase(name);
    } else {
      out.named[name] = ParseAddedToken(*found, where + ": " + name);
    }
  }
}

void AddListed(std::vector<std::pair<int64_t, AddedToken>> tokens, SpecialTokens& out) {
  std::stable_sort(tokens.begin(), tokens.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [id, token] : tokens) {
    out.known[token.content] = token;
    out.listed.push_back(std::move(token));
  }
}

// "added_tokens" of tokenizer.json
void ParseListed(const json& list, const std::string& where, SpecialTokens& out) {
  if (!list.is_array()) Bad(where, "added_tokens must be a list, but is " + Brief(list));
  std::vector<std::pair<int64_t, AddedToken>> tokens;
  for (const json& item : list) {
    AddedToken token = ParseAddedToken(item, where);
    if (!item.is_object() || !item.contains("id")) Bad(where, "an added token has no id");
    const int32_t id = ParseId(item["id"], where, token.content);
    tokens.emplace_back(id, std::move(token));
  }
  AddListed(std::move(tokens), out);
}

// "added_tokens_decoder" of tokenizer_config.json: by id, written as text
void ParseDecoder(const json& object, const std::string& where, SpecialTokens& out) {
  if (!object.is_object()) Bad(where, "must be an object, but is " + Brief(object));
  std::vector<std::pair<int64_t, AddedToken>> tokens;
  for (const auto& [id, item] : object.items()) {
    if (id.empty() || id.size() > 8 || id.find_first_not_of("0123456789") != std::string::npos) {
      Bad(where, Printable(id, 40) + " is not an id");
    }
    tokens.emplace_back(std::stoll(id), ParseAddedToken(item, where));
  }
  AddListed(std::move(tokens), out);
}

// added_tokens.json: ids by content
void ParseLegacy(const json& object, const std::string& where, SpecialTokens& out) {
  if (!object.is_object()) Bad(where, "must hold an object, but holds " + Brief(object));
  std::vector<std::pair<int64_t, AddedToken>> tokens;
  for (const auto& item : object.items()) {
    AddedToken token{.content = item.key()};
    token.normalized = std::none_of(out.named.begin(), out.named.end(), [&](const auto& named) {
      return named.second.content == token.content;
    });
    tokens.emplace_back(ParseId(item.value(), where, token.content), std::move(token));
  }
  AddListed(std::move(tokens), out);
}

// The start and end that a file's own post-processor puts around the text, where it says so.
void ParsePostProcessor(const json& processor, SpecialTokens& out) {
  if (!processor.is_object()) return;
  const std::string type = processor.value("type", json()).is_string() ? processor["type"] : "";
  if (type == "RobertaProcessing" || type == "BertProcessing") {
    for (const auto& [field, name] : {std::pair("cls", "bos_token"), {"sep", "eos_token"}}) {
      const auto pair = processor.find(field);
      if (pair == processor.end() || !pair->is_array() || pair->empty()) continue;
      if ((*pair)[0].is_string()) out.named[name] = {.content = (*pair)[0].get<std::string>()};
    }
  } else if (type == "TemplateProcessing") {
    const auto single = processor.find("single");
    if (single == processor.end() || !single->is_array()) return;
    const char* name = "bos_token";
    for (const json& piece : *single) {
      if (!piece.is_object()) continue;
      if (piece.contains("Sequence")) name = "eos_token";
      const auto special = piece.find("SpecialToken");
      if (special == piece.end() || !special->is_object()) continue;
      const auto id = special->find("id");
      if (id != special->end() && id->is_string()) {
        out.named[name] = {.content = id->get<std::string>()};
      }
    }
  } else if (type == "Sequence") {
    const auto list = processor.find("processors");
    if (list == processor.end() || !list->is_array()) return;
    for (const json& item : *list) ParsePostProcessor(item, out);
  }
}

// Gives the token its place in the vocabulary, or the next free id, and lists it once.
int32_t AddToken(AddedToken token, TokenizerSpec& out) {
  int32_t next = static_cast<int32_t>(out.vocabulary.size());
  for (AddedToken& existing : out.added) {
    if (existing.content == token.content) {
      token.id = existing.id;
      existing = token;
      return token.id;
    }
    next = std::max(next, existing.id + 1);
  }
  const auto found = out.vocabulary.find(token.content);
  token.id = found != out.vocabulary.end() ? found->second : next;
  out.added.push_back(token);
  return token.id;
}

void AddSpecialTokens(const SpecialTokens& tokens, TokenizerSpec& out) {
  for (const AddedToken& token : tokens.listed) {
    if (!token.content.empty()) AddToken(token, out);
  }
  for (const char* name : kNames) {
    const auto named = tokens.named.find(name);
    if (named == tokens.named.end()) continue;
    const auto known = tokens.known.find(named->second.content);
    const AddedToken& token = known != tokens.known.end() ? known->second : named->second;
    if (token.content.empty()) Bad(out.where, std::string(name) + " is empty");
    const int32_t id = AddToken(token, out);
    if (name == std::string_view("bos_token")) out.start = id;
    if (name == std::string_view("eos_token")) out.end = id;
    if (name == std::string_view("pad_token")) out.pad = id;
  }
  if (out.start < 0 && out.pieces.empty()) Bad(out.where, "has no bos_token");
  if (out.end < 0) Bad(out.where, "has no eos_token");
  if (out.pad < 0) out.pad = out.end;
}

// ---- whole files
// ---------------------------------------------------------------------------------

json ParseFile(const std::string& text, const std::string& where) {
  json out = ParseJson(text, where, kLimits);
  if (!out.is_object()) Bad(where, "must hold a JSON object, but holds " + Brief(out));
  return out;
}

std::string StringOr(const json& object, const char* name, const std::string& where) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return "";
  if (!found->is_string()) Bad(where, std::string(name) + " must be a string");
  return found->get<std::string>();
}

// ---- T5's kind
// -----------------------------------------------------------------------------------

void AddPiece(UnigramPiece piece, TokenizerSpec& out) {
  if (out.pieces.size() > static_cast<size_t>(kMaxId)) Bad(out.where, "too many pieces");
  out.vocabulary[piece.text] = static_cast<int32_t>(out.pieces.size());
  out.pieces.push_back(std::move(piece));
}

void ParseUnigram(const json& model, const std::string& where, TokenizerSpec& out) {
  const auto vocab = model.find("vocab");
  if (vocab == model.end() || !vocab->is_array()) Bad(where, "model has no list vocab");
  for (const json& item : *vocab) {
    if (!item.is_array() || item.size() != 2 || !item[0].is_string() || !item[1].is_number()) {
      Bad(where, "a piece must be a text and a score, but is " + Brief(item));
    }
    AddPiece({item[0].get<std::string>(), item[1].get<double>()}, out);
  }
  const auto unknown = model.find("unk_id");
  if (unknown != model.end() && unknown->is_number_unsigned() &&
      unknown->get<uint64_t>() <= static_cast<uint64_t>(kMaxId)) {
    out.unigram.unknown = unknown->get<int64_t>();
  }
  out.unigram.byte_fallback = Flag(model, "byte_fallback", false, where);
}

// As transformers' T5Tokenizer opens such a file: its pieces, then the sentinels, of which the last
// comes first; words by white space.
void ParseSentencePiece(const std::string& bytes, const std::string& where, int64_t extra_ids,
                        SpecialTokens& tokens, TokenizerSpec& out) {
  const SentencePieceFile file = SentencePieceFile::Parse(bytes, where);
  std::vector<std::pair<int64_t, AddedToken>> added;
  using Kind = SentencePieceFile::Kind;
  for (const SentencePieceFile::Piece& piece : file.pieces) {
    if (piece.kind == Kind::kControl || piece.kind == Kind::kUserDefined) {
      added.emplace_back(static_cast<int64_t>(out.pieces.size()), AddedToken{piece.text});
    }
    AddPiece({piece.text, static_cast<double>(piece.score)}, out);
  }
  for (int64_t i = extra_ids; i-- > 0;) {
    const std::string name = "<extra_id_" + std::to_string(i) + ">";
    added.emplace_back(static_cast<int64_t>(out.pieces.size()), AddedToken{name});
    AddPiece({name, 0.0}, out);
  }
  AddListed(std::move(added), tokens);
  out.unigram = {file.unknown_id, file.byte_fallback};
  out.steps = TextSteps::T5(file.charsmap, where);
}

int64_t ParseCount(const json& config, const char* name, const std::string& where) {
  const auto found = config.find(name);
  if (found == config.end() || found->is_null()) return 100;
  if (!found->is_number_unsigned() || found->get<uint64_t>() > 10000) {
    Bad(where, std::string(name) + " must be a number up to 10000, but is " + Brief(*found));
  }
  return found->get<int64_t>();
}

void ParseModel(const json& file, const std::string& where, TokenizerKind kind,
                TokenizerSpec& out) {
  const auto model = file.find("model");
  if (model == file.end() || !model->is_object()) Bad(where, "model must be an object");
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::kUnsupported, where + ": model: " + what + " is not supported");
  };
  const std::string type = StringOr(*model, "type", where);
  const bool unigram = kind == TokenizerKind::kUnigram;
  if (unigram ? type != "Unigram" : type != "BPE" && !type.empty()) refuse(Printable(type));
  if (unigram) {
    ParseUnigram(*model, where, out);
    return;
  }
  for (const char* member : {"vocab", "merges"}) {
    if (!model->contains(member)) Bad(where, std::string("model has no ") + member);
  }
  out.vocabulary = ParseVocabulary((*model)["vocab"], where);
  ParseMergesList((*model)["merges"], where, out);
  out.options.end_of_word = StringOr(*model, "end_of_word_suffix", where);
  out.options.unknown_token = StringOr(*model, "unk_token", where);
  out.options.fuse_unknown = Flag(*model, "fuse_unk", false, where);
  out.options.whole_words = Flag(*model, "ignore_merges", false, where);
  if (!StringOr(*model, "continuing_subword_prefix", where).empty()) {
    refuse("a continuing_subword_prefix");
  }
  if (Flag(*model, "byte_fallback", false, where)) refuse("byte_fallback");
  const auto dropout = model->find("dropout");
  if (dropout != model->end() && !dropout->is_null() && *dropout != 0.0) refuse("dropout");
}

// transformers writes 1e30 for "no limit".
void ParseLength(const json& object, const char* name, TokenizerSpec& out) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number()) return;
  const double length = found->get<double>();
  if (length >= 2 && length <= 1 << 20) out.length = static_cast<int>(length);
}

}  // namespace

TokenizerTexts ReadTokenizerTexts(const std::filesystem::path& folder,
                                  const std::filesystem::path& settings, TokenizerKind kind) {
  TokenizerTexts out;
  out.kind = kind;
  out.where = folder.string();
  const auto read_from = [](const std::filesystem::path& from, const char* name,
                            std::optional<std::string>& text) {
    std::error_code error;
    if (!std::filesystem::exists(from / name, error)) return;
    text = ReadTextFile(from / name, kLimits.bytes);
  };
  const auto read = [&](const char* name, std::optional<std::string>& text) {
    read_from(folder, name, text);
  };
  read("tokenizer.json", out.tokenizer);
  if (kind == TokenizerKind::kUnigram) {
    read("spiece.model", out.sentencepiece);
  } else {
    read("vocab.json", out.vocab);
    read("merges.txt", out.merges);
  }
  read("tokenizer_config.json", out.config);
  read("special_tokens_map.json", out.special_tokens_map);
  read("added_tokens.json", out.added_tokens);
  if (!settings.empty()) {
    read_from(settings, "tokenizer_config.json", out.config);
    read_from(settings, "special_tokens_map.json", out.special_tokens_map);
  }
  if (kind == TokenizerKind::kUnigram) {
    if (out.tokenizer || out.sentencepiece) return out;
    Bad(out.where, "holds no tokenizer of T5's: tokenizer.json or spiece.model");
  }
  if (!out.tokenizer && out.vocab && !out.merges) Bad(out.where, "merges.txt is missing");
  if (!out.tokenizer && !out.vocab) {
    Bad(out.where, "holds no tokenizer: tokenizer.json, or vocab.json and merges.txt");
  }
  return out;
}

TokenizerSpec ParseTokenizer(const TokenizerTexts& texts) {
  TokenizerSpec out;
  out.where = texts.where;
  const auto path = [&](const char* name) { return texts.where + "/" + name; };
  const bool unigram = texts.kind == TokenizerKind::kUnigram;
  if (unigram) out.length = 512;
  SpecialTokens tokens;
  if (unigram) {
    for (const auto& [name, content] :
         {std::pair("eos_token", "</s>"), {"unk_token", "<unk>"}, {"pad_token", "<pad>"}}) {
      tokens.named[name] = {.content = content};
    }
  } else
    for (const auto& [name, content] : {std::pair("bos_token", "<|startoftext|>"),
                                        {"eos_token", "<|endoftext|>"},
                                        {"unk_token", "<|endoftext|>"},
                                        {"pad_token", "<|endoftext|>"}}) {
      tokens.named[name] = {.content = content};
    }
  json file;
  if (texts.tokenizer) {
    file = ParseFile(*texts.tokenizer, path("tokenizer.json"));
    ParseModel(file, path("tokenizer.json"), texts.kind, out);
    out.steps = TextSteps::Parse(file, path("tokenizer.json"), !unigram);
    ParsePostProcessor(file.value("post_processor", json()), tokens);
    const json truncation = file.value("truncation", json());
    if (truncation.is_object()) ParseLength(truncation, "max_length", out);
  } else if (!unigram) {
    out.vocabulary =
        ParseVocabulary(ParseFile(*texts.vocab, path("vocab.json")), path("vocab.json"));
    ParseMergesText(*texts.merges, path("merges.txt"), out);
    out.options.end_of_word = "</w>";
    out.steps = TextSteps::Clip();
  }
  json config = json::object();
  if (texts.config) config = ParseFile(*texts.config, path("tokenizer_config.json"));
  if (unigram && !texts.tokenizer) {
    ParseSentencePiece(*texts.sentencepiece, path("spiece.model"),
                       ParseCount(config, "extra_ids", path("tokenizer_config.json")), tokens, out);
  }
  ParseNamed(config, path("tokenizer_config.json"), tokens);
  ParseLength(config, "model_max_length", out);
  const auto decoder = config.find("added_tokens_decoder");
  const bool lists_tokens = decoder != config.end() && !decoder->is_null();
  if (lists_tokens) {
    ParseDecoder(*decoder, path("tokenizer_config.json: added_tokens_decoder"), tokens);
  } else if (texts.special_tokens_map) {  // older files; they win over the config
    const std::string where = path("special_tokens_map.json");
    ParseNamed(ParseFile(*texts.special_tokens_map, where), where, tokens);
  }
  if (!lists_tokens && texts.added_tokens) {
    const std::string where = path("added_tokens.json");
    ParseLegacy(ParseFile(*texts.added_tokens, where), where, tokens);
  }
  if (file.contains("added_tokens")) {
    ParseListed(file["added_tokens"], path("tokenizer.json"), tokens);
  }
  if (!texts.tokenizer) out.options.unknown_token = tokens.named["unk_token"].content;
  AddSpecialTokens(tokens, out);
  return out;
}

}  // namespace fovea
