#include "models/lora/lora_choice.h"

#include <catch2/catch.hpp>

#include "tensor/error.h"

namespace fovea {
namespace {

TEST_CASE("lora choice: a file and its scale") {
  const auto is = [](const std::string& text, const std::string& name, double scale) {
    const NamedLora lora = ParseLoraFlag(text);
    CHECK(lora.name == name);
    CHECK(lora.scale == scale);
  };
  is("a.safetensors", "a.safetensors", 1);
  is("a.safetensors:0.5", "a.safetensors", 0.5);
  is("b:-1e-1", "b", -0.1);
  is("c:/a:b", "c:/a:b", 1);
  is("c:1:2", "c:1", 2);
  is("c:inf", "c:inf", 1);
  CHECK_THROWS_AS(ParseLoraFlag(""), Error);
  CHECK_THROWS_AS(ParseLoraFlag(":1"), Error);
}

TEST_CASE("lora choice: several as text and back") {
  const std::vector<NamedLora> loras{{"a b", 1}, {"x:y.safetensors", 0.1}, {"c", -2}};
  const std::string text = LoraText(loras);
  CHECK(text == "a b:1;x:y.safetensors:0.1;c:-2");
  const std::vector<NamedLora> back = ParseLoraText(text);
  REQUIRE(back.size() == 3);
  for (size_t i = 0; i < 3; ++i) {
    CHECK(back[i].name == loras[i].name);
    CHECK(back[i].scale == loras[i].scale);
  }
  CHECK(ParseLoraText("").empty());
  CHECK_THROWS_AS(ParseLoraText(";a"), Error);
  CHECK_THROWS_AS(LoraText({{"a;b", 1}}), Error);
}

TEST_CASE("lora choice: tags leave the prompt") {
  const auto taken = [](std::string_view prompt) {
    std::vector<NamedLora> loras;
    std::string text = TakeLoraTags(prompt, loras);
    for (const NamedLora& lora : loras) text += "|" + LoraText({lora});
    return text;
  };
  CHECK(taken("a cat") == "a cat");
  CHECK(taken("<lora:x:0.8>") == "|x:0.8");
  CHECK(taken("a <lora:x:0.8> cat") == "a cat|x:0.8");
  CHECK(taken("a cat <lora:x>") == "a cat|x:1");
  CHECK(taken("a,<lora:x:1> <lora:y:-0.5>b") == "a, b|x:1|y:-0.5");
  CHECK(taken("a <lora:x cat") == "a <lora:x cat");  // no tag
  for (const char* prompt :
       {"<lora:>", "<lora::1>", "<lora:x:>", "<lora:x:two>", "<lora:x:1:2>", "<lora:x:nan>"}) {
    INFO(prompt);
    CHECK_THROWS_AS(taken(prompt), Error);
  }
}

}  // namespace
}  // namespace fovea
