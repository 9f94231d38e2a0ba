// A prompt for people: its tokens and words, as CLIP and T5 read them.
#pragma once

#include <string>
#include <vector>

namespace fovea {

class T5Tokenizer;

// A prompt as the first text encoder reads it, without start, end and padding.
struct PromptReading {
  struct Token {
    std::string text;  // UTF-8, of which one token may hold a part of a letter
    double weight = 1;
    bool word_end = true;  // the word ends here
    std::vector<int> positions =
        {};  // in the text that the denoiser is given; several encoders': all
  };
  int windows = 1, window_length = 77;
  bool starts = true;  // windows begin with a token of their own
  int further = 0;     // positions behind the windows: T5's beside CLIP's
  std::vector<Token> tokens;
};

// T5's pieces as tokens of words, at positions from `first` on, at most length - 1 of them: the end
// comes after. Punctuation is a word of its own, as CLIP has it, and letters are small.
std::vector<PromptReading::Token> ReadLong(const T5Tokenizer& tokenizer, const std::string& text,
                                           int length, int first);

// Another encoder's positions to the words that both have, in order.
void AddPositions(const std::vector<PromptReading::Token>& from,
                  std::vector<PromptReading::Token>* to);

}  // namespace fovea
