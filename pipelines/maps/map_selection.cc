#include "pipelines/maps/map_selection.h"

#include <algorithm>
#include <charconv>

#include "tensor/error.h"
#include "tensor/glob.h"

namespace fovea {

bool MapSelection::HasLayer(const std::string& path) const {
  return layers.empty() || std::any_of(layers.begin(), layers.end(), [&](const std::string& glob) {
           return MatchGlob(glob, path);
         });
}

bool MapSelection::HasStep(int step, int count) const {
  return steps.empty() || std::any_of(steps.begin(), steps.end(), [&](const StepRange& range) {
           return range.Holds(step, count);
         });
}

bool MapSelection::HasHead(int head) const {
  return heads.empty() || std::any_of(heads.begin(), heads.end(), [&](const auto& range) {
           return head >= range.first && head <= range.second;
         });
}

std::vector<int> MapSelection::HeadsOf(const AttentionCall& call) const {
  std::vector<int> chosen;
  for (int head = 0; head < call.spec.heads; ++head) {
    if (HasHead(head)) chosen.push_back(head);
  }
  return chosen;
}

std::vector<std::pair<int, int>> ParseHeads(const std::string& flag, const std::string& text) {
  std::vector<std::pair<int, int>> ranges;
  const char *at = text.data(), *end = at + text.size();
  const auto bad = [&] {
    throw Error(ErrorCode::kUsage, flag + ": \"" + text + "\" is no list of heads, as 0-3,5");
  };
  const auto number = [&] {
    int value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc{} || value < 0) bad();
    at = next;
    return value;
  };
  for (;;) {
    const int first = number();
    int last = first;
    if (at < end && *at == '-') {
      ++at;
      last = number();
    }
    if (last < first) bad();
    ranges.emplace_back(first, last);
    if (at == end) return ranges;
    if (*at++ != ',') bad();
  }
}

const Segment* GridOfLayout(const TokenLayout& layout) {
  for (const Segment& segment : layout) {
    if (segment.kind == SegmentKind::kGrid) return &segment;
  }
  return nullptr;
}

}  // namespace fovea
