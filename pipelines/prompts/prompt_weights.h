// Weights inside prompts: "a (red:1.3) [cube]", as A1111's web UI and as ComfyUI read them.
//
// A1111: modules/prompt_parser.py. (x) times 1.1, [x] divided by 1.1, (x:1.3) times 1.3; nested
// weights multiply; \( \) \[ \] \\ are the characters themselves; BREAK begins a new window.
// ComfyUI: comfy/sd1_clip.py. (x) times 1.1; the number of (x:1.3) replaces what is around it; \(
// \) are the characters themselves; square brackets and BREAK mean nothing. Nothing is an error:
// what does not read as a weight is text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "pipelines/settings/prompt_weights_mode.h"

namespace fovea {

struct WeightedText {
  std::string text;
  double weight = 1;
  bool breaks = false;  // BREAK: no text
};

// Pieces in order; kOff gives one. Takes the length of the prompt times its nesting, which may have
// any depth. Pure; fuzzed.
std::vector<WeightedText> ParsePrompt(std::string_view prompt, PromptWeights mode);

}  // namespace fovea
