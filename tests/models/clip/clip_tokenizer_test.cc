#include "models/clip/clip_tokenizer.h"

#include <catch2/catch.hpp>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tensor/error.h"
#include "tests/support/source_dir.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Ids = std::vector<int32_t>;

const fs::path kGolden = SourceDir() / "tests/golden/tokenizer";

std::string ReadAll(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void WriteAll(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::string FromHex(const std::string& hex) {
  std::string out;
  for (size_t i = 0; i < hex.size(); i += 2) {
    out.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return out;
}

struct Files {
  std::string vocab = ReadAll(kGolden / "vocab.json");
  std::string merges = ReadAll(kGolden / "merges.txt");
};

std::unique_ptr<ClipTokenizer> Small() {
  const Files files;
  return ClipTokenizer::FromVocabAndMerges(files.vocab, files.merges, "small");
}

// tokenizer.json of the golden vocabulary with one member replaced.
json WholeFile() {
  const Files files;
  const json cases = json::parse(ReadAll(kGolden / "cases.json"));
  for (const json& variant : cases["variants"]) {
    if (variant["name"] != "tokenizer.json alone") continue;
    json file = variant["files"]["tokenizer.json"];
    file["model"]["vocab"] = json::parse(files.vocab);
    std::istringstream lines(files.merges);
    file["model"]["merges"] = json::array();
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with("#")) file["model"]["merges"].push_back(line);
    }
    return file;
  }
  FAIL("no such variant");
  return {};
}

std::string ErrorOf(const std::function<void()>& body, ErrorCode code) {
  try {
    body();
  } catch (const Error& error) {
    CHECK(error.code == code);
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return error.what();
  }
  FAIL("no error");
  return "";
}

void CheckJsonError(const json& file, ErrorCode code, const std::string& expected) {
  const std::string text =
      ErrorOf([&] { ClipTokenizer::FromTokenizerJson(file.dump(), "dir/tokenizer.json"); }, code);
  INFO(text);
  CHECK(text.find(expected) != std::string::npos);
}

TEST_CASE("the tokenizer gives the ids of transformers and tokenizers") {
  const json cases = json::parse(ReadAll(kGolden / "cases.json"));
  const json& first = cases["variants"][0]["ids"];
  REQUIRE(cases["texts_hex"].size() >= 300);
  for (const json& variant : cases["variants"]) {
    INFO(variant["name"]);
    const TempDir folder;
    for (const auto& [name, content] : variant["files"].items()) {
      if (name == "tokenizer.json") {
        json file = content;
        const json whole = WholeFile();
        file["model"]["vocab"] = whole["model"]["vocab"];
        file["model"]["merges"] = whole["model"]["merges"];
        WriteAll(folder / name, file.dump());
      } else if (content.is_null()) {
        fs::copy_file(kGolden / name, folder / name);
      } else {
        WriteAll(folder / name, content.dump());
      }
    }
    const auto tokenizer = ClipTokenizer::Open(folder.Path());
    for (size_t i = 0; i < cases["texts_hex"].size(); ++i) {
      const std::string key = std::to_string(i);
      const std::string hex = cases["texts_hex"][i];
      INFO("text " << hex);
      const Ids expected = (variant["ids"].contains(key) ? variant["ids"] : first)[key];
      CHECK(tokenizer->Encode(FromHex(hex)) == expected);
    }
    if (!variant.contains("special")) continue;
    CHECK(Ids{tokenizer->Start(), tokenizer->End(), tokenizer->Pad()} == variant["special"]);
    CHECK(tokenizer->EncodePadded("a red cube", 8) == variant["padded"].get<Ids>());
    std::string long_text;
    for (int i = 0; i < 9; ++i) long_text += "a red cube ";
    CHECK(tokenizer->EncodePadded(long_text, 8) == variant["cut"].get<Ids>());
    CHECK(tokenizer->Vocabulary() == variant["vocabulary"].get<int>());
    CHECK(tokenizer->Length() == 77);
  }
}

TEST_CASE("both forms of the tokenizer's files give the same ids") {
  const auto from_json = ClipTokenizer::FromTokenizerJson(WholeFile().dump(), "whole");
  const std::string text = "It's a RED cube, <|endoftext|> caf\u00e9 42";
  CHECK(from_json->Encode(text) == Small()->Encode(text));
}

TEST_CASE("a window is start, text, end and padding, and says what it cut") {
  const auto tokenizer = Small();
  std::vector<std::string> cut = {"stale"};
  const Ids empty = tokenizer->EncodePadded("", 4, &cut);
  CHECK(empty == Ids{tokenizer->Start(), tokenizer->End(), tokenizer->Pad(), tokenizer->Pad()});
  CHECK(cut.empty());

  const std::string text = "red cube blue sphere";
  const int whole = static_cast<int>(tokenizer->Encode(text).size());
  CHECK(tokenizer->EncodePadded(text, whole + 2, &cut).back() == tokenizer->End());
  CHECK(cut.empty());
  const int red = static_cast<int>(tokenizer->Encode("red cube").size());
  const Ids ids = tokenizer->EncodePadded(text, red + 2, &cut);
  CHECK(ids.size() == static_cast<size_t>(red) + 2);
  CHECK(cut == std::vector<std::string>{"blue", "sphere"});
  CHECK(tokenizer->EncodePadded(text, 2, &cut) == Ids{tokenizer->Start(), tokenizer->End()});
}

TEST_CASE("tokens are spelled as in the vocabulary") {
  const auto tokenizer = Small();
  const Ids ids = tokenizer->Encode("a");
  REQUIRE(ids.size() == 1);
  CHECK(tokenizer->Token(ids[0]) == "a</w>");
  CHECK(tokenizer->Token(tokenizer->End()) == "<|endoftext|>");
  CHECK_THROWS_AS(tokenizer->Token(-1), Error);
  CHECK_THROWS_AS(tokenizer->Token(1 << 20), Error);
}

TEST_CASE("a word of a megabyte takes less than a second") {
  const auto tokenizer = Small();
  std::string word;
  while (word.size() < (1 << 20)) word += "thecubesphere";
  const std::clock_t begin = std::clock();  // of the processor: others may use the machine, too
  CHECK(tokenizer->Encode(word).size() > 1000);
  const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  CHECK(seconds < 5);  // 0.3 s; the limit leaves room for sanitizers
}

TEST_CASE("symbols outside the vocabulary become the unknown token") {
  const std::string vocab = R"({"a":0,"b</w>":1,"<|startoftext|>":2,"<|endoftext|>":3})";
  const auto tokenizer = ClipTokenizer::FromVocabAndMerges(vocab, "#version: 0.2\n", "tiny");
  CHECK(tokenizer->Encode("ab") == Ids{0, 1});
  CHECK(tokenizer->Encode("azzb") == Ids{0, 3, 3, 1});
  CHECK(tokenizer->Encode("\u00e9") == Ids{3, 3});
}

TEST_CASE("merges go by rank, then from the left") {
  const std::string vocab =
      R"({"a":0,"a</w>":1,"b</w>":2,"aa":3,"aa</w>":4,"aab</w>":5,"<|startoftext|>":6,"<|endoftext|>":7})";
  const auto tokenizer = ClipTokenizer::FromVocabAndMerges(vocab, "a a\naa b</w>\na a</w>", "tiny");
  CHECK(tokenizer->Encode("aa") == Ids{4});
  CHECK(tokenizer->Encode("aaa") == Ids{3, 1});
  CHECK(tokenizer->Encode("aab") == Ids{5});
  CHECK(tokenizer->Encode("aaab") == Ids{3, 0, 2});
}

TEST_CASE("broken tokenizer files are refused by name") {
  const Files files;
  const auto refuse = [&](const std::string& vocab, const std::string& merges,
                          const std::string& expected) {
    const std::string text = ErrorOf(
        [&] { ClipTokenizer::FromVocabAndMerges(vocab, merges, "dir"); }, ErrorCode::kBadFile);
    INFO(text);
    CHECK(text.find(expected) != std::string::npos);
  };
  refuse("", files.merges, "dir/vocab.json");
  refuse("[]", files.merges, "JSON object");
  refuse("{}", files.merges, "empty");
  refuse(R"({"a": -1})", "", "the id of token a");
  refuse(R"({"a": 1.5})", "", "the id of token a");
  refuse(R"({"a": "x"})", "", "the id of token a");
  refuse(R"({"a": 99999999999})", "", "the id of token a");
  refuse(R"({"a": 0, "a": 1})", "", "given twice");
  refuse(R"({"a": 0, "b": 0, "<|startoftext|>": 1, "<|endoftext|>": 2})", "", "two tokens");
  refuse(R"({"a": 0})", "", "unknown token");
  refuse(files.vocab, "a b c\n", "dir/merges.txt: merge a b c");
  refuse(files.vocab, "nospace\n", "merge nospace");
  refuse(files.vocab, "a qqqqq\n", "qqqqq is not in the vocabulary");
  refuse(files.vocab, "q q\n", "merge into qq");
  refuse(std::string(100000, '['), "", "nested");
  refuse(std::string(100000, '[').insert(0, "{\"a\":"), "", "nested");
}

TEST_CASE("tokenizer.json with steps that we lack is refused by name") {
  const json good = WholeFile();
  CheckJsonError(json::array(), ErrorCode::kBadFile, "JSON object");
  CheckJsonError(json::object(), ErrorCode::kBadFile, "model must be an object");
  json file = good;
  file["model"]["type"] = "WordPiece";
  CheckJsonError(file, ErrorCode::kUnsupported, "WordPiece");
  file = good;
  file["model"].erase("vocab");
  CheckJsonError(file, ErrorCode::kBadFile, "vocab");
  file = good;
  file["model"]["merges"][3] = 7;
  CheckJsonError(file, ErrorCode::kBadFile, "merge");
  file = good;
  file["model"]["byte_fallback"] = true;
  CheckJsonError(file, ErrorCode::kUnsupported, "byte_fallback");
  file = good;
  file["model"]["dropout"] = 0.1;
  CheckJsonError(file, ErrorCode::kUnsupported, "dropout");
  file = good;
  file["model"]["continuing_subword_prefix"] = "##";
  CheckJsonError(file, ErrorCode::kUnsupported, "continuing_subword_prefix");
  file = good;
  file["normalizer"] = {{"type", "BertNormalizer"}};
  CheckJsonError(file, ErrorCode::kUnsupported, "normalizer: BertNormalizer");
  file = good;
  file["normalizer"] = {{"type", "Replace"}, {"pattern", {{"Regex", "a+"}}}, {"content", ""}};
  CheckJsonError(file, ErrorCode::kUnsupported, "a+");
  file = good;
  file["pre_tokenizer"] = {{"type", "Metaspace"}};
  CheckJsonError(file, ErrorCode::kUnsupported, "pre_tokenizer: Metaspace");
  file = good;
  file["pre_tokenizer"] = nullptr;
  CheckJsonError(file, ErrorCode::kUnsupported, "ByteLevel");
  file = good;
  file["pre_tokenizer"]["pretokenizers"][0]["behavior"] = "Isolated";
  CheckJsonError(file, ErrorCode::kUnsupported, "Isolated");
  file = good;
  file["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "\\w+";
  CheckJsonError(file, ErrorCode::kUnsupported, "\\w+");
  file = good;
  file["added_tokens"] = {{{"content", "<x>"}}};
  CheckJsonError(file, ErrorCode::kBadFile, "id");
}

TEST_CASE("folders without a tokenizer say what is missing") {
  const TempDir folder;
  const auto open = [&] { ClipTokenizer::Open(folder.Path()); };
  CHECK(ErrorOf(open, ErrorCode::kBadFile).find("holds no tokenizer") != std::string::npos);
  fs::copy_file(kGolden / "vocab.json", folder / "vocab.json");
  CHECK(ErrorOf(open, ErrorCode::kBadFile).find("merges.txt is missing") != std::string::npos);
  fs::copy_file(kGolden / "merges.txt", folder / "merges.txt");
  CHECK(ClipTokenizer::Open(folder.Path())->Length() == 77);
  WriteAll(folder / "tokenizer_config.json", R"({"model_max_length": 1e30})");
  CHECK(ClipTokenizer::Open(folder.Path())->Length() == 77);
  WriteAll(folder / "tokenizer_config.json", R"({"model_max_length": 40})");
  CHECK(ClipTokenizer::Open(folder.Path())->Length() == 40);
  WriteAll(folder / "tokenizer_config.json", R"({"pad_token": 3})");
  CHECK(ErrorOf(open, ErrorCode::kBadFile).find("pad_token") != std::string::npos);
}

}  // namespace
}  // namespace fovea
