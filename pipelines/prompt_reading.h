// Prompts for people: T5's reading of one, and how it meets CLIP's.
#pragma once

#include <string>
#include <vector>

#include "models/t5/t5_tokenizer.h"
#include "pipelines/pipeline_facts.h"

namespace fovea {

// T5's pieces as tokens of words, at positions from `first` on, at most length - 1 of them: the end
// comes after. Punctuation is a word of its own, as CLIP has it, and letters are small.
std::vector<PromptReading::Token> ReadLong(const T5Tokenizer& tokenizer, const std::string& text,
                                           int length, int first);

// Another encoder's positions to the words that both have, in order.
void AddPositions(const std::vector<PromptReading::Token>& from,
                  std::vector<PromptReading::Token>* to);

}  // namespace fovea
