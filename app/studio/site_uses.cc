#include "app/studio/site_uses.h"

#include <string>

namespace fovea {

std::vector<SiteUse> UsesOf(const std::vector<AttentionUse>& uses) {
  std::vector<SiteUse> out;
  for (const AttentionUse& use : uses) {
    std::string steps;
    for (const auto& [first, last] : use.steps) {
      steps += (steps.empty() ? "" : ",") + std::to_string(first) +
               (last > first ? "-" + std::to_string(last) : "");
    }
    out.push_back({use.path, use.op, use.heads, steps, use.refusal, use.density, use.visited});
  }
  return out;
}

std::vector<SiteUse> UsesOf(const std::vector<AttentionGroup>& groups) {
  std::vector<SiteUse> uses;
  for (const AttentionGroup& group : groups) {
    for (const std::string& layer : group.layers) {
      uses.push_back(
          {layer, group.op, group.heads, group.steps, group.refusal, group.density, group.visited});
    }
  }
  return uses;
}

}  // namespace fovea
