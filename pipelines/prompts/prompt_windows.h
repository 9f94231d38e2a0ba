// Prompts as windows of weighted tokens: what the text encoder reads of prompts of any length.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "models/clip/clip_tokenizer.h"
#include "pipelines/prompts/prompt_weights.h"

namespace fovea {

// Windows of `length` tokens each: start, words, end, padding.
struct PromptWindows {
  PromptWeights mode = PromptWeights::kOff;
  int length = 77;
  std::vector<int32_t> ids;     // windows * length
  std::vector<double> weights;  // the same; 1 for start, end and padding
  std::vector<int32_t> empty;   // the window of the empty prompt
  int64_t Count() const { return static_cast<int64_t>(ids.size()) / length; }
  bool Weighted() const;
};

// One window in mode off: what does not fit is cut, and `warn` (may be empty) is told what was cut
// of `which` prompt. As many windows as it takes in the others: A1111's way moves what follows a
// comma among the last 20 tokens into the next window, ComfyUI's keeps words of up to 8 tokens
// whole.
PromptWindows MakeWindows(const ClipTokenizer& tokenizer, int length, const std::string& prompt,
                          PromptWeights mode, const std::string& which,
                          const std::function<void(const std::string&)>& warn);

// Appends windows of the empty prompt up to `count`: the halves of a guided batch are equally long.
void PadWindows(int64_t count, PromptWindows* windows);

}  // namespace fovea
