#include "models/lora/lora_choice.h"

#include <catch2/catch.hpp>

#include "tensor/error.h"

namespace fovea {
namespace {

TEST_CASE("lora choice: a file and its scale") {
  const auto is = [](const std::string& text, const std::string& name, double scale) {
    const NamedLora lora = ParseLoraFlag(text);
    CHECK(lora.name == name);
    CHECK(lora.scales.scale == scale);
  };
  is("a.safetensors", "a.safetensors", 1);
  is("a.safetensors:0.5", "a.safetensors", 0.5);
  is("b:-1e-1", "b", -0.1);
  is("c:/a:b", "c:/a:b", 1);
  is("c:1e3x:2", "c:1e3x", 2);
  is("c:1:2", "c", 2);
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
    CHECK(back[i].scales.scale == loras[i].scales.scale);
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
  CHECK(taken("a <cat> < lora:x> <:x>") == "a <cat> < lora:x> <:x>");
  CHECK(taken("<lyco:x:0.5> a <Lora:y>") == "a|x:0.5|y:1");
  for (const char* prompt :
       {"<lora:>", "<lora::1>", "<lora:x:>", "<lora:x:two>", "<lora:x:1:>", "<lora:x:nan>",
        "<lora:x:te=>", "<hypernet:x:1>", "<foo:bar>", "<lora:x> <Foo:lora:x>"}) {
    INFO(prompt);
    CHECK_THROWS_AS(taken(prompt), Error);
  }
}

TEST_CASE("lora choice: one scale for text encoders, another for the denoiser") {
  std::vector<std::string> notes;
  const auto scales = [&](const std::string& arguments) {
    std::vector<NamedLora> loras;
    TakeLoraTags("<lora:x:" + arguments + ">", loras, &notes);
    const LoraScales& read = loras.at(0).scales;
    CHECK(ParseLoraText(LoraText(loras)).at(0).scales.Of("unet") == read.Of("unet"));
    CHECK(ParseLoraText(LoraText(loras)).at(0).scales.Of("text_encoder_2") ==
          read.Of("text_encoder"));
    return std::pair(read.Of("text_encoder"), read.Of("unet"));
  };
  CHECK(scales("0.5") == std::pair(0.5, 0.5));
  CHECK(scales("0.5:0.8") == std::pair(0.5, 0.8));
  CHECK(scales("te=0.5:unet=0.8") == std::pair(0.5, 0.8));
  CHECK(scales("0.3:unet=0.8") == std::pair(0.3, 0.8));
  CHECK(scales("te=0.3") == std::pair(0.3, 0.3));
  CHECK(scales("unet=0.8") == std::pair(1.0, 0.8));
  CHECK(scales("+0.8") == std::pair(0.8, 0.8));
  CHECK(scales(" 0.8 ") == std::pair(0.8, 0.8));
  CHECK(notes.empty());
  CHECK(scales("0.5:lbw=IN02:0.8:4") == std::pair(0.5, 0.8));
  CHECK(notes.size() == 2);
}

}  // namespace
}  // namespace fovea
