// Weighing a word of a prompt without typing brackets: (word:1.1).
#pragma once

#include <string>

namespace fovea {

// The word, or the bracket, at byte `cursor` weighed by `by` more; *cursor stays on it. At 1 the
// brackets go. Weights stay from 0.1 to 3.
std::string WeighWord(const std::string& text, double by, int* cursor);

}  // namespace fovea
