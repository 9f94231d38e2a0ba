// What kind of pattern every head has: numbers that are read from whole attention matrices, means
// over pictures and queries.
//
// Distance and rings (the attention strength by k-hop neighbours of arXiv:2303.13731) are of grid
// queries and grid keys, after the weight on other tokens is taken out and the rest made to sum to
// 1; a mean distance without that would be small for heads that look at the class token.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "attention/attention_listener.h"

namespace fovea {

struct HeadPattern {
  std::string layer;
  int site = 0, head = 0;
  double entropy = 0;           // share of its largest value, ln of the number of keys
  double effective_keys = 0;    // 1 / sum of squared weights
  double distance = 0;          // mean, in tokens
  std::vector<double> rings;    // share of weight at 0, 1, 2-3, 4-7, 8-15, ... tokens' distance
  double single = 0, text = 0;  // weight on class and register tokens, and on text
  double sink = 0;              // keys times the largest mean weight of one key: 1 is even
  bool sink_is_single = false;  // that key is a class or register token
  int group = 0;                // of similar patterns
  std::string looks;            // what the pattern is like, in a word or two
  std::vector<float> pattern;   // mean matrix, pooled to at most 64 x 64; (side, side)
};

class HeadStatistics final : public AttentionListener {
 public:
  void Attended(Context& ctx, const AttentionCall& call) override;
  // Groups: k-means on the patterns' logarithms, at most `groups` of them.
  std::vector<HeadPattern> Finish(int groups) const;

 private:
  struct Sums {
    std::string layer;
    double rows = 0, grid_rows = 0;
    double entropy = 0, squares = 0, distance = 0, single = 0, text = 0;
    std::vector<double> rings, received, pattern;
    int64_t keys = 0;
    int single_keys = 0;
  };
  std::map<std::pair<int, int>, Sums> heads_;  // by site and head
};

// Cosine of two patterns, 0 for such of different sizes.
double PatternSimilarity(const HeadPattern& a, const HeadPattern& b);

}  // namespace fovea
