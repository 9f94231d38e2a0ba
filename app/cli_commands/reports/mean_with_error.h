// The mean of some numbers, and how well it is known.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

namespace fovea {

struct MeanWithError {
  double sum = 0, squares = 0, count = 0;

  void Add(double value) {
    sum += value;
    squares += value * value;
    ++count;
  }
  // "mean,1.96 standard errors" for a table; "," of no numbers.
  std::string Text() const {
    if (count == 0) return ",";
    const double mean = sum / count;
    const double variance =
        count > 1 ? std::max(0.0, (squares - count * mean * mean) / (count - 1)) : 0;
    char text[64];
    std::snprintf(text, sizeof text, "%.6g,%.6g", mean, 1.96 * std::sqrt(variance / count));
    return text;
  }
};

}  // namespace fovea
