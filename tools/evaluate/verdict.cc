// Matches wishes with sightings in the best order, then checks how the matched ones stand.
#include "tools/evaluate/verdict.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace fovea::evaluate {
namespace {

using scenes::Relation;

constexpr size_t kMaxMatched = 6;  // sightings that take part in the matching, biggest first
// Depth shows as height in the picture; seen from above at about 27 degrees it is foreshortened.
constexpr float kDepthGain = 2.0f;

bool HasColor(const Wish& wish, const Sighting& seen) {
  return wish.color < 0 || wish.color == static_cast<int>(seen.color);
}

bool HasShape(const Wish& wish, const Sighting& seen) {
  return wish.shape == seen.shape;
}

}  // namespace

Relation RelationOf(const Sighting& a, const Sighting& b) {
  const float across = b.center_x - a.center_x;
  const float down = static_cast<float>((a.box.y + a.box.height) - (b.box.y + b.box.height));
  if (std::fabs(across) >= kDepthGain * std::fabs(down)) {
    return across > 0 ? Relation::kLeft : Relation::kRight;
  }
  return down > 0 ? Relation::kFront : Relation::kBehind;
}

Verdict Judge(const Prompt& prompt, const std::vector<Sighting>& sightings) {
  Verdict verdict;
  const size_t wanted = prompt.wishes.size();
  verdict.count = sightings.size() == wanted;
  std::vector<int> order(std::min(sightings.size(), kMaxMatched));
  std::iota(order.begin(), order.end(), 0);
  // Colour, shape and both are each judged under their own best matching.
  do {
    if (order.size() < wanted) break;
    bool color = true, shape = true;
    for (size_t i = 0; i < wanted; ++i) {
      color = color && HasColor(prompt.wishes[i], sightings[order[i]]);
      shape = shape && HasShape(prompt.wishes[i], sightings[order[i]]);
    }
    verdict.color = verdict.color || color;
    verdict.shape = verdict.shape || shape;
    if (!color || !shape) continue;
    verdict.objects = true;
    verdict.relation = verdict.relation || prompt.relation == Relation::kNone ||
                       RelationOf(sightings[order[0]], sightings[order[1]]) == prompt.relation;
  } while (std::next_permutation(order.begin(), order.end()));
  verdict.right = verdict.count && verdict.objects && verdict.relation;
  return verdict;
}

}  // namespace fovea::evaluate
