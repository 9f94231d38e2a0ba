// Which tokens of the text a word of the prompt is.
#pragma once

#include <string>
#include <vector>

#include "pipelines/prompts/prompt_reading.h"

namespace fovea {

struct PromptWord {
  std::string text;
  std::vector<int> positions;  // of all its tokens, wherever it occurs, in the denoiser's text
};

// The words of a prompt in order, each once, however often it occurs: tokens up to the end of a
// word are one. Punctuation alone is left out.
std::vector<PromptWord> WordsOf(const PromptReading& reading);

// What is no word: "<start>", "<end>" and "<padding>", of all windows; "<N>", the token at position
// N of the text, from the end below 0. Networks keep much in these: what BOS soaks up, or, in
// models that were taught to, an object in each of the last positions. Throws kUsage where there is
// none.
PromptWord SpecialWord(const PromptReading& reading, const std::string& asked);
inline bool IsSpecialWord(const std::string& asked) {
  return asked.size() > 2 && asked.front() == '<' && asked.back() == '>';
}

// Runs of tokens that spell `asked`, itself read by the same tokenizer into `pieces`: every
// occurrence. Throws kUsage naming the prompt's words where there is none.
PromptWord FindWord(const PromptReading& reading, const std::string& asked,
                    const PromptReading& pieces);

}  // namespace fovea
