// The text that A1111 and ComfyUI read, taken apart and written. The expected parts of foreign
// texts are what A1111's own pattern gives.
#include "pipelines/metadata/a1111_text.h"

#include <catch2/catch.hpp>

namespace fovea {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

TEST_CASE("a text of A1111 falls into prompt, negative prompt and settings") {
  const A1111Text text = ParseA1111Text(
      "  a cat,\n (sleeping:1.2) \r\nNegative prompt: dog,\n bird \n"
      "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 512x512, Model hash: 45dee52b\n");
  CHECK(text.prompt == "a cat,\n(sleeping:1.2)");
  CHECK(text.negative == "dog,\nbird");
  CHECK(text.fields == Fields{{"Steps", "20"},
                              {"Sampler", "Euler a"},
                              {"CFG scale", "7"},
                              {"Seed", "42"},
                              {"Size", "512x512"},
                              {"Model hash", "45dee52b"}});
}

TEST_CASE("quoted values of A1111's settings are JSON") {
  const Fields fields =
      ParseA1111Text(
          R"(Lora hashes: "a: 1, b: 2", Model: "x \"y\", z", Note: "open, Empty: "", Half: "a"b, x: 1)"
          R"(, Last/one-2: "caf\u00e9")")
          .fields;
  // A quote that no comma follows is no closing one; a key has two characters at least.
  CHECK(fields == Fields{{"Lora hashes", "a: 1, b: 2"},
                         {"Model", "x \"y\", z"},
                         {"Note", "\"open"},
                         {"Empty", ""},
                         {"Half", "\"a\"b"},
                         {"Last/one-2", "caf\xc3\xa9"}});
}

TEST_CASE("what is no settings line belongs to the prompt") {
  for (const char* prompt : {"", "a cat", "a: b, aa: c, bb: d", "Steps: 20, Sampler: Euler"}) {
    const A1111Text text = ParseA1111Text(prompt);
    CHECK(text.prompt == prompt);
    CHECK(text.fields.empty());
  }
  const A1111Text three = ParseA1111Text("aa: b, bb, ,: cc: d e: , dd: f");
  CHECK(three.prompt.empty());
  CHECK(three.fields == Fields{{"aa", "b"}, {"cc", "d e: "}, {"dd", "f"}});
  CHECK(ParseA1111Text("Negative prompt: x\na: y").negative == "x\na: y");
}

TEST_CASE("A1111's parsing takes linear time") {
  std::string text(1 << 20, 'k');
  for (size_t i = 0; i < text.size(); i += 7) text[i] = ' ';
  CHECK(ParseA1111Text(text).fields.empty());
  std::string quotes;
  while (quotes.size() < 1 << 20) quotes += "aa: \"\\\", ";
  CHECK(ParseA1111Text(quotes).fields.size() > 1000);
}

TEST_CASE("the text that is written has one form") {
  CHECK(WriteA1111Text({"a cat", "", {{"Steps", "20"}, {"None", ""}, {"Model", "x"}}}) ==
        "a cat\nNegative prompt: \nSteps: 20, Model: x");
  CHECK(WriteA1111Text({"", "b", {{"Steps", "1"}}}) == "\nNegative prompt: b\nSteps: 1");
  const auto value = [](const std::string& text) {
    const std::string all = WriteA1111Text({"", "", {{"kk", text}}});
    return all.substr(all.find("kk: ") + 4);
  };
  CHECK(value("plain (v1.5) \xe7\x8c\xab") == "plain (v1.5) \xe7\x8c\xab");
  CHECK(value("a, b") == R"("a\u002c b")");
  CHECK(value("a:b") == R"("a:b")");
  CHECK(value("a\nb") == R"("a\nb")");
  CHECK(value("{\"a\"}") == R"("{\u0022a\u0022}")");
  CHECK(value("say \"x\", y\\") == R"("say \u0022x\u0022\u002c y\\")");
  CHECK(value("\\\"") == R"(\")");
  CHECK(value("\"\\") == R"("\u0022\\")");
  CHECK(value(" x") == "\" x\"");
  CHECK(WriteA1111Text({"", "", {{"Lora hashes", "a: 1, b: 2"}}}) ==
        "\nNegative prompt: \nLora hashes: \"a: 1, b: 2\"");
}

TEST_CASE("what was written comes back, whatever prompts and values hold") {
  const std::string texts[] = {
      "a cat",
      "two\nlines, (of:1.2) [text] \\(x\\) <lora:y:0.5>",
      "Steps: 20, Sampler: Euler a, CFG scale: 7",
      "a\nSteps: 3, Sampler: x, Seed: 4",
      "quotes \" \"\" \\\" 'x' {\"json\": [1, 2]}",
      "\xe7\x8c\xab \xf0\x9f\x90\x88",
      "colons: and, commas: here,,, ::",
      "",
  };
  for (const std::string& prompt : texts) {
    for (const std::string& other : texts) {
      const A1111Text parts{prompt, other, {{"Steps", "20"}, {"Seed", "1"}, {"Odd", other + "."}}};
      const A1111Text back = ParseA1111Text(WriteA1111Text(parts));
      CHECK(back.prompt == prompt);
      CHECK(back.negative == other);
      CHECK(back.fields == parts.fields);
    }
  }
}

TEST_CASE("a prompt that names the negative prompt stays a prompt") {
  const A1111Text back = ParseA1111Text(
      WriteA1111Text({"Negative prompt: a\n \tNegative prompt:b\nx Negative prompt: c",
                      "d\nNegative prompt: e",
                      {{"Steps", "1"}, {"Seed", "2"}, {"Model", "m"}}}));
  CHECK(back.prompt == "Negative  prompt: a\nNegative  prompt:b\nx Negative prompt: c");
  CHECK(back.negative == "d\nNegative  prompt: e");
  CHECK(back.fields.size() == 3);
}

}  // namespace
}  // namespace fovea
