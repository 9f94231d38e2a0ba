// What of other programs' prompts is only words here.
#include "pipelines/prompts/prompt_syntax.h"

#include <catch2/catch.hpp>

namespace fovea {
namespace {

using Found = std::vector<std::string>;

TEST_CASE("prompt syntax: what the web UI would act on is named") {
  const auto found = [](const char* prompt) {
    return UnreadSyntax(prompt, PromptWeights::kA1111, false);
  };
  CHECK(found("[red:blue:0.5] cube") == Found{"[red:blue:0.5] (prompt editing)"});
  CHECK(found("[red:blue: 2 ]") == Found{"[red:blue: 2 ] (prompt editing)"});
  CHECK(found("[blue::1] x [blue:+.5]") ==
        Found{"[blue::1] (prompt editing)", "[blue:+.5] (prompt editing)"});
  CHECK(found("[red|blue|] cube") == Found{"[red|blue|] (alternating words)"});
  CHECK(found("[a (b:1.2)|c]") == Found{"[a (b:1.2)|c] (alternating words)"});
  CHECK(found("a AND b AND c") == Found{"AND (several prompts at once)"});
  CHECK(found("a <lora:style:1") == Found{"<lora:style:1 (a tag)"});
  CHECK(found("embedding:bad-hands, x embedding:bad-hands") ==
        Found{"embedding:bad-hands (an embedding)"});
}

TEST_CASE("prompt syntax: what are words there, too, is not named") {
  for (const char* prompt :
       {"a [red] cube", "a (red:1.2) cube", "a \\[red|blue\\] cube", "a | b", "(a|b)", "[a:b]",
        "[a:b:c]", "SAND, BRAND and AND_x", "a < b: c", "<3", "]a|b[", "embedding: x", "\\[a:1]"}) {
    INFO(prompt);
    CHECK(UnreadSyntax(prompt, PromptWeights::kA1111, false).empty());
  }
  // AND joins prompts, of which a negative one has none; ComfyUI knows neither it nor brackets.
  CHECK(UnreadSyntax("a AND b", PromptWeights::kA1111, true).empty());
  CHECK(UnreadSyntax("a AND [b|c] [d:0.5]", PromptWeights::kComfy, false).empty());
  CHECK(UnreadSyntax("a <x:1> embedding:b", PromptWeights::kComfy, false).size() == 2);
  CHECK(UnreadSyntax("a AND [b|c] <x:1> embedding:b", PromptWeights::kOff, false).empty());
}

}  // namespace
}  // namespace fovea
