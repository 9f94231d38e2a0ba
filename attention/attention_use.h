// What ran where in a run: one entry for each operator, site and set of heads.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "attention/attention_listener.h"

namespace fovea {

// What one operator did at one site.
struct AttentionUse {
  std::string path;                        // of the site
  std::string op;                          // "clear(r=16)"
  std::string heads;                       // "0-3,5"; empty: all
  std::vector<std::pair<int, int>> steps;  // inclusive ranges
  double density = 1;                      // share of query-key pairs that are seen, of all calls
  double visited = 1;                      // share that is computed
  std::string refusal;  // why a rule without a selector left this site dense; usually empty
};

// An operator, and which heads of a layer run under it.
struct ChosenHeads {
  std::shared_ptr<const BoundOp> op;
  std::vector<bool> heads;
  std::string refusal;
};

class UseReport {
 public:
  // What `parts` of a call at `step` did under that operator; parts that only stand in do not
  // count.
  void Add(const AttentionSite& site, const ChosenHeads& choice,
           std::span<const AttentionPart> parts, int step);
  const std::vector<AttentionUse>& Uses() const { return uses_; }  // in order of execution

 private:
  struct Pairs {
    double seen = 0, visited = 0, all = 0;
    bool planned = false;  // bounds of a dry run, which calls that choose replace
  };
  std::vector<AttentionUse> uses_;
  std::vector<Pairs> pairs_;  // of each, summed over its calls
};

}  // namespace fovea
