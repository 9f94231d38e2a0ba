#include "ui/word_weight.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace fovea {
namespace {

bool Parts(char c) {
  return c == ' ' || c == '\n' || c == ',' || c == '(' || c == ')';
}

}  // namespace

std::string WeighWord(const std::string& text, double by, int* cursor) {
  const auto size = static_cast<int>(text.size());
  int at = std::clamp(*cursor, 0, size);
  if (at > 0 && (at == size || Parts(text[static_cast<size_t>(at)]))) --at;
  // Inside of (word:1.1) the whole bracket is the word.
  const size_t from = static_cast<size_t>(std::max(at, 0));
  size_t open = text.rfind('(', from), close = text.find(')', from);
  double weight = 1;
  std::string word;
  size_t begin = 0, end = 0;
  const size_t closed = text.rfind(')', from == 0 ? 0 : from - 1);
  const bool inside = open != std::string::npos && close != std::string::npos &&
                      (from == 0 || closed == std::string::npos || closed < open);
  const size_t colon = inside ? text.rfind(':', close) : std::string::npos;
  if (inside && colon != std::string::npos && colon > open) {
    begin = open;
    end = close + 1;
    word = text.substr(open + 1, colon - open - 1);
    weight = std::atof(text.c_str() + colon + 1);
  } else {
    begin = end = from;
    while (begin > 0 && !Parts(text[begin - 1])) --begin;
    while (end < text.size() && !Parts(text[end])) ++end;
    word = text.substr(begin, end - begin);
  }
  if (word.empty()) return text;
  weight = std::clamp(std::round((weight + by) * 100) / 100, 0.1, 3.0);
  std::string now = word;
  if (weight != 1) {
    char number[16];
    std::snprintf(number, sizeof number, "%.2g", weight);
    if (weight >= 1) std::snprintf(number, sizeof number, "%.3g", weight);
    now = "(" + word + ":" + number + ")";
  }
  *cursor = static_cast<int>(begin) + (weight == 1 ? 0 : 1);
  return text.substr(0, begin) + now + text.substr(end);
}

}  // namespace fovea
