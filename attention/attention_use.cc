#include "attention/attention_use.h"

#include <algorithm>

#include "attention/tiles/tile_map.h"

namespace fovea {
namespace {

// "0-3,5", or empty if all.
std::string HeadsText(const std::vector<bool>& heads) {
  if (std::all_of(heads.begin(), heads.end(), [](bool head) { return head; })) return {};
  std::string text;
  for (size_t i = 0; i < heads.size(); ++i) {
    if (!heads[i]) continue;
    size_t last = i;
    while (last + 1 < heads.size() && heads[last + 1]) ++last;
    if (!text.empty()) text += ',';
    text += std::to_string(i);
    if (last > i) text.append(1, '-').append(std::to_string(last));
    i = last;
  }
  return text;
}

void AddStep(std::vector<std::pair<int, int>>& steps, int step) {
  if (steps.empty()) return steps.emplace_back(step, step), void();
  auto& [first, last] = steps.back();
  if (step == last + 1)
    last = step;
  else if (step < first || step > last)
    steps.emplace_back(step, step);
}

}  // namespace

void UseReport::Add(const AttentionSite& site, const ChosenHeads& choice,
                    std::span<const AttentionPart> parts, int step) {
  const std::string heads = HeadsText(choice.heads);
  const std::string& op = choice.op->Text();
  size_t at = 0;
  while (at < uses_.size() &&
         (uses_[at].path != site.path || uses_[at].op != op || uses_[at].heads != heads)) {
    ++at;
  }
  Pairs pairs;
  for (const AttentionPart& part : parts) {
    if (!part.ran) continue;
    const double calls = part.spec.batch * part.spec.heads;
    const double all = static_cast<double>(TokenCount(part.spec.q)) * TokenCount(part.spec.kv);
    double seen = part.prepared->PairShare() * all, visited = seen;
    if (const TileMap* map = part.prepared->Map(); map != nullptr) {
      seen = static_cast<double>(map->pairs), visited = static_cast<double>(map->visited_pairs);
    }
    if (part.io.maps != nullptr) {
      seen = part.io.maps->MeanPairs(), visited = part.io.maps->MeanVisitedPairs();
      pairs.planned = part.io.maps->each.empty();
    }
    // Further keys that an operator makes count as keys.
    const double base = part.prepared->Map() == nullptr
                            ? all
                            : static_cast<double>(part.prepared->Map()->AllPairs());
    pairs.seen += calls * seen, pairs.visited += calls * visited, pairs.all += calls * base;
  }
  if (pairs.all == 0) return;
  if (at == uses_.size()) {
    uses_.push_back({site.path, op, heads, {}, 1, 1, choice.refusal});
    pairs_.emplace_back();
  }
  AddStep(uses_[at].steps, step);
  if (pairs_[at].planned && !pairs.planned) pairs_[at] = {};
  pairs_[at].planned = pairs.planned;
  pairs_[at].seen += pairs.seen, pairs_[at].visited += pairs.visited, pairs_[at].all += pairs.all;
  uses_[at].density = pairs_[at].seen / pairs_[at].all;
  uses_[at].visited = pairs_[at].visited / pairs_[at].all;
}

}  // namespace fovea
