// T5's tokenizer against transformers and tokenizers, and what it says about broken files.
#include "models/t5/t5_tokenizer.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "models/t5/charsmap.h"
#include "models/t5/unigram.h"
#include "tensor/error.h"
#include "tests/support/source_dir.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Ids = std::vector<int32_t>;

const fs::path kGolden = SourceDir() / "tests/golden/t5_tokenizer";

std::string ReadAll(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

json Cases() {
  return json::parse(ReadAll(kGolden / "cases.json"));
}

// The texts whose ids differ, at most a few of them.
std::string Differences(const T5Tokenizer& tokenizer, const json& texts, const json& ids,
                        bool ended) {
  std::string out;
  int count = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    Ids got = tokenizer.Encode(texts[i].get<std::string>());
    if (ended) got.push_back(tokenizer.End());
    if (got == ids.at(i).get<Ids>()) continue;
    if (++count <= 5)
      out += texts[i].dump() + ": " + json(got).dump() + " not " + ids[i].dump() + "\n";
  }
  return count == 0 ? "" : std::to_string(count) + " differ\n" + out;
}

TEST_CASE("T5's spiece.model gives transformers' ids") {
  const json cases = Cases();
  REQUIRE(cases["texts"].size() > 400);
  const auto tokenizer = T5Tokenizer::Open(kGolden);
  CHECK(Differences(*tokenizer, cases["texts"], cases["spiece"], true) == "");
  CHECK(tokenizer->Pad() == 0);
  CHECK(tokenizer->End() == 1);
  CHECK(tokenizer->Token(tokenizer->Vocabulary() - 1) == "<extra_id_0>");
  const int length = cases["length"];
  for (size_t i = 0; i < cases["texts"].size(); ++i) {
    const std::string text = cases["texts"][i];
    const T5Window window = tokenizer->EncodePadded(text, length);
    INFO(text);
    REQUIRE(window.ids == cases["padded"][i].get<Ids>());
    REQUIRE(window.count == std::min<int>(length, static_cast<int>(cases["spiece"][i].size())));
  }
}

TEST_CASE("a unigram tokenizer.json gives tokenizers' ids") {
  const json cases = Cases();
  REQUIRE(cases["variants"].size() == 7);
  for (const json& variant : cases["variants"]) {
    INFO(variant["name"]);
    const auto tokenizer = T5Tokenizer::FromTokenizerJson(variant["tokenizer.json"].dump(), "x");
    CHECK(Differences(*tokenizer, cases["texts"], variant["ids"], true) == "");
  }
}

TEST_CASE("what is cut off is told") {
  const auto tokenizer = T5Tokenizer::Open(kGolden);
  std::string cut = "x";
  CHECK(tokenizer->EncodePadded("a red cube", 64, &cut).ids.size() == 64);
  CHECK(cut.empty());
  CHECK(tokenizer->EncodePadded("a red cube", 1, &cut).ids == Ids{1});
  CHECK(cut == "a red cube");
}

std::string Refusal(const std::function<void()>& open) {
  try {
    open();
  } catch (const Error& error) {
    CHECK((error.code == ErrorCode::kBadFile || error.code == ErrorCode::kUnsupported));
    return error.what();
  }
  return "";
}

TEST_CASE("broken files of T5's tokenizer are refused by name") {
  const std::string model = ReadAll(kGolden / "spiece.model");
  const auto spiece = [](const std::string& bytes) {
    return Refusal([&] { T5Tokenizer::FromSentencePiece(bytes, "folder"); });
  };
  CHECK(spiece("").find("folder/spiece.model") != std::string::npos);
  for (const size_t size : {size_t{1}, size_t{2}, size_t{100}, model.size() - 1}) {
    CHECK(spiece(model.substr(0, size)) != "");
  }
  const json variant = Cases()["variants"][0]["tokenizer.json"];
  const auto with = [&](const std::function<void(json&)>& change) {
    json file = variant;
    change(file);
    return Refusal([&] { T5Tokenizer::FromTokenizerJson(file.dump(), "folder"); });
  };
  CHECK(with([](json&) {}) == "");
  CHECK(with([](json& f) { f["model"]["type"] = "WordPiece"; }).find("WordPiece") !=
        std::string::npos);
  CHECK(with([](json& f) { f["model"]["unk_id"] = 100000; }).find("unk_id") != std::string::npos);
  CHECK(with([](json& f) { f["model"]["unk_id"] = nullptr; }).find("unk_id") != std::string::npos);
  CHECK(with([](json& f) { f["model"]["vocab"] = json::array(); }) != "");
  CHECK(with([](json& f) { f["model"]["vocab"][3] = "a"; }) != "");
  CHECK(with([](json& f) {
          f["normalizer"]["normalizers"][0]["precompiled_charsmap"] = "/w==";
        }).find("charsmap") != std::string::npos);
  CHECK(with([](json& f) {
          f["pre_tokenizer"] = {{"type", "Punctuation"}};
        }).find("Punctuation") != std::string::npos);
  const TempDir temp;
  CHECK(Refusal([&] { T5Tokenizer::Open(temp.Path()); }).find("spiece.model") != std::string::npos);
}

TEST_CASE("of equal sums the segmentation found first holds") {
  const Unigram unigram({{"<unk>", 0}, {"a", -1}, {"b", -1}, {"ab", -2}, {"c", -1}, {"bc", -2}},
                        {.unknown = 0}, "x");
  const auto encode = [&](const char* word) {
    Ids ids;
    unigram.Encode(word, ids);
    return ids;
  };
  CHECK(encode("ab") == Ids{3});
  CHECK(encode("abc") == Ids{1, 5});
  CHECK(encode("xyaz") == Ids{0, 1, 0});  // unknown neighbours are one
  CHECK(encode("") == Ids{});
}

}  // namespace
}  // namespace fovea
