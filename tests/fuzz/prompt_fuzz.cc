// Fuzzes prompts: every text is one in every mode of weights.
#include <cmath>

#include "pipelines/prompts/prompt_syntax.h"
#include "pipelines/prompts/prompt_weights.h"
#include "tests/fuzz/fuzz_target.h"

namespace fovea {

std::vector<std::string> FuzzSeeds() {
  return {"a red cube",
          "a ((red:1.2) [cube]:0.5) BREAK (x",
          "\\(a\\) \\[b\\] \\\\",
          ")(:1.2)((:) []",
          "(a:-.5e3)(b: +1.)",
          "BREAKBREAK BREAK BREAK",
          "[red:blue:0.5] [a|b] AND",
          "<lora:x:1 embedding:y"};
}

}  // namespace fovea

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fovea;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto mode : {PromptWeights::kOff, PromptWeights::kA1111, PromptWeights::kComfy}) {
    size_t bytes = 0;
    for (const WeightedText& piece : ParsePrompt(text, mode)) {
      if (std::isnan(piece.weight)) std::abort();
      bytes += piece.text.size();
    }
    if (bytes > size) std::abort();
    for (const bool negative : {false, true}) UnreadSyntax(text, mode, negative);
  }
  return 0;
}
