// Which attention calls an inspection looks at, and how finely its maps are told apart.
#pragma once

#include <string>
#include <vector>

#include "attention/attention_listener.h"
#include "attention/plans/plan.h"

namespace fovea {

struct MapSelection {
  std::vector<std::string> layers;         // globs without braces; empty: all that a kind is about
  std::vector<std::pair<int, int>> heads;  // inclusive; empty: all
  std::vector<StepRange> steps;            // empty: all
  bool per_layer = false, per_head = false, per_step = false;

  bool HasLayer(const std::string& path) const;
  bool HasHead(int head) const;
  bool HasStep(int step, int count) const;
  bool Has(const AttentionCall& call) const {
    return HasLayer(call.site.path) && HasStep(call.step, call.steps);
  }
  std::vector<int> HeadsOf(const AttentionCall& call) const;
};

// "0-3,5". Throws kUsage naming `flag`.
std::vector<std::pair<int, int>> ParseHeads(const std::string& flag, const std::string& text);

// The grid of a layout, or null.
const Segment* GridOfLayout(const TokenLayout& layout);
// The row of the batch that shows what the prompt did: of several pictures, the last one's.
int PromptRow(const AttentionCall& call);

}  // namespace fovea
