// Prompt weights against A1111's and ComfyUI's own code (tests/golden/prompts/cases.json, made by
// tools/golden/prompts.py).
#include "pipelines/prompts/prompt_weights.h"

#include <cmath>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "models/config.h"
#include "pipelines/prompts/prompt_windows.h"
#include "tensor/error.h"
#include "tests/support/source_dir.h"

namespace fovea {
namespace {

using Json = nlohmann::json;

const Json& Golden() {
  static const Json json = Config::ReadFile(SourceDir() / "tests/golden/prompts/cases.json").Json();
  return json;
}

const ClipTokenizer& Tokenizer() {
  static const auto tokenizer = ClipTokenizer::Open(SourceDir() / "tests/golden/tokenizer");
  return *tokenizer;
}

void CheckWindows(const PromptWindows& got, const Json& expected) {
  REQUIRE(got.Count() == static_cast<int64_t>(expected.size()));
  size_t k = 0;
  for (const Json& window : expected) {
    for (size_t i = 0; i < window["ids"].size(); ++i, ++k) {
      REQUIRE(got.ids[k] == window["ids"][i].get<int32_t>());
      REQUIRE(got.weights[k] == Approx(window["weights"][i].get<double>()).epsilon(1e-12));
    }
  }
}

TEST_CASE("prompts are cut into the tokens and weights of A1111") {
  for (const Json& golden : Golden()["cases"]) {
    const std::string prompt = golden["prompt"];
    CAPTURE(prompt);
    CheckWindows(MakeWindows(Tokenizer(), 77, prompt, PromptWeights::kA1111, "prompt", {}),
                 golden["a1111"]);
  }
}

TEST_CASE("prompts are cut into the tokens and weights of ComfyUI") {
  for (const Json& golden : Golden()["cases"]) {
    const std::string prompt = golden["prompt"];
    CAPTURE(prompt);
    CheckWindows(MakeWindows(Tokenizer(), 77, prompt, PromptWeights::kComfy, "prompt", {}),
                 golden["comfy"]);
  }
}

TEST_CASE("the same prompt means different things to the two") {
  const auto a = ParsePrompt("((red:1.2) cube:0.5)", PromptWeights::kA1111);
  REQUIRE(a.size() == 2);
  CHECK(a[0].weight == Approx(0.6));
  CHECK(a[1].weight == Approx(0.5));
  const auto c = ParsePrompt("((red:1.2) cube:0.5)", PromptWeights::kComfy);
  REQUIRE(c.size() == 2);
  CHECK(c[0].weight == Approx(1.2));
  CHECK(c[1].weight == Approx(0.5));
  const auto off = ParsePrompt("((red:1.2) cube:0.5)", PromptWeights::kOff);
  REQUIRE(off.size() == 1);
  CHECK(off[0].text == "((red:1.2) cube:0.5)");
}

TEST_CASE("BREAK begins a window, inside parentheses too") {
  const auto pieces = ParsePrompt("(red BREAK cube)", PromptWeights::kA1111);
  REQUIRE(pieces.size() == 3);
  CHECK(pieces[1].breaks);
  CHECK(pieces[2].text == "cube");
  CHECK(pieces[2].weight == Approx(1.1));
}

TEST_CASE("a prompt of one plain window is the same in every mode") {
  for (const char* text : {"", "a red cube", "the blue one"}) {
    const auto plain = MakeWindows(Tokenizer(), 77, text, PromptWeights::kOff, "prompt", {});
    for (const auto mode : {PromptWeights::kA1111, PromptWeights::kComfy}) {
      const auto windows = MakeWindows(Tokenizer(), 77, text, mode, "prompt", {});
      CHECK(windows.ids == plain.ids);
      CHECK(!windows.Weighted());
    }
  }
}

TEST_CASE("deep nesting is read") {
  const std::string open(20000, '('), close(20000, ')');
  CHECK(ParsePrompt(open + "red" + close, PromptWeights::kComfy).size() == 1);
  CHECK(ParsePrompt(open + "red" + close, PromptWeights::kA1111).size() == 1);
  CHECK(ParsePrompt(open + "red", PromptWeights::kA1111).size() == 1);
}

TEST_CASE("short prompts are padded with windows of the empty prompt") {
  auto windows = MakeWindows(Tokenizer(), 77, "a red cube", PromptWeights::kA1111, "prompt", {});
  PadWindows(3, &windows);
  REQUIRE(windows.Count() == 3);
  const auto empty = MakeWindows(Tokenizer(), 77, "", PromptWeights::kA1111, "prompt", {});
  for (size_t i = 0; i < 77; ++i) CHECK(windows.ids[154 + i] == empty.ids[i]);
  CHECK(windows.weights.size() == windows.ids.size());
}

TEST_CASE("modes are named") {
  CHECK(ParsePromptWeights("a1111") == PromptWeights::kA1111);
  CHECK(ParsePromptWeights("comfy") == PromptWeights::kComfy);
  CHECK(ParsePromptWeights("off") == PromptWeights::kOff);
  CHECK_THROWS_AS(ParsePromptWeights("compel"), Error);
}

}  // namespace
}  // namespace fovea
