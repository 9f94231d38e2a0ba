// What windows and reports want to know of an opened pipeline beside its pictures.
#pragma once

#include <string>
#include <vector>

#include "attention/attention_site.h"

namespace fovea {

struct PipelineFacts {
  int width = 512, height = 512;  // of the pictures it was trained on
  int factor = 8;                 // picture pixels a latent pixel
  int latent_channels = 4;
  bool only_repaints = false;        // makes no picture without a given one and a mask
  std::vector<AttentionSite> sites;  // of the denoiser, token layouts at the trained size
};

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

}  // namespace fovea
