#include "pipelines/analytics/head_statistics.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "attention/probe/call_matrix.h"
#include "attention/probe/matrix_passes.h"
#include "pipelines/maps/map_selection.h"

namespace fovea {
namespace {

constexpr int64_t kMostQueries = 256;  // of a pass; all where there are fewer
constexpr int kPatternSide = 64;
constexpr int kRings = 16;

// 0, 1, 2-3, 4-7, ...
int RingOf(int distance) {
  return std::min(kRings - 1, static_cast<int>(std::bit_width(static_cast<unsigned>(distance))));
}

// What one of the parallel chunks of a pass adds up.
struct Part {
  double rows = 0, grid_rows = 0, entropy = 0, squares = 0, distance = 0, single = 0, text = 0;
  std::array<double, kRings> rings{};
  std::vector<double> received, pattern;
};

void AddRow(const AttentionCall& call, const Segment* queries, const Segment* keys, int32_t query,
            std::span<const float> row, Part* part) {
  const auto count = static_cast<int64_t>(row.size());
  const int side = static_cast<int>(std::min<int64_t>(kPatternSide, count));
  const int64_t all = TokenCount(call.spec.q);
  const auto from = static_cast<int>(query * std::min<int64_t>(kPatternSide, all) / all);
  part->received.resize(row.size());
  part->pattern.resize(static_cast<size_t>(kPatternSide * kPatternSide));
  double squares = 0;
  for (int64_t j = 0; j < count; ++j) {
    const auto a = static_cast<double>(row[static_cast<size_t>(j)]);
    squares += a * a;
    part->received[static_cast<size_t>(j)] += a;
    part->pattern[static_cast<size_t>(from * kPatternSide + j * side / count)] += a;
  }
  ++part->rows;
  part->entropy += EntropyOf(row);
  part->squares += squares > 0 ? 1 / squares : 0;
  for (const Segment& segment : call.spec.kv) {
    if (segment.kind == SegmentKind::kGrid) continue;
    double mass = 0;
    for (int j = segment.begin; j < segment.begin + segment.length; ++j) {
      mass += static_cast<double>(row[static_cast<size_t>(j)]);
    }
    (segment.kind == SegmentKind::kText ? part->text : part->single) += mass;
  }
  if (queries == nullptr || keys == nullptr || query < queries->begin ||
      query >= queries->begin + queries->length) {
    return;
  }
  const int own = query - queries->begin, columns = queries->grid[2];
  const int y = own / columns, x = own % columns;
  double mass = 0, distance = 0;
  std::array<double, kRings> rings{};
  for (int k = 0; k < keys->length; ++k) {
    const auto a = static_cast<double>(row[static_cast<size_t>(keys->begin + k)]);
    const int dy = std::abs(k / columns - y), dx = std::abs(k % columns - x);
    mass += a;
    distance += a * std::sqrt(static_cast<double>(dy * dy + dx * dx));
    rings[static_cast<size_t>(RingOf(std::max(dy, dx)))] += a;
  }
  if (mass <= 0) return;
  ++part->grid_rows;
  part->distance += distance / mass;
  for (size_t i = 0; i < rings.size(); ++i) part->rings[i] += rings[i] / mass;
}

void AddTo(const std::vector<double>& from, std::vector<double>* to) {
  to->resize(std::max(to->size(), from.size()));
  for (size_t i = 0; i < from.size(); ++i) (*to)[i] += from[i];
}

double SquaredDistance(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

// Lloyd's k-means from seeds that are farthest from one another: no randomness.
std::vector<int> Group(const std::vector<std::vector<double>>& points, int groups) {
  const auto count = static_cast<int>(points.size());
  std::vector<std::vector<double>> centres{points.front()};
  while (static_cast<int>(centres.size()) < std::min(groups, count)) {
    size_t farthest = 0;
    double most = -1;
    for (size_t i = 0; i < points.size(); ++i) {
      double nearest = std::numeric_limits<double>::infinity();
      for (const auto& centre : centres) {
        nearest = std::min(nearest, SquaredDistance(points[i], centre));
      }
      if (nearest > most) {
        most = nearest;
        farthest = i;
      }
    }
    if (most <= 0) break;  // all others are equal to one of these
    centres.push_back(points[farthest]);
  }
  std::vector<int> group(points.size(), 0);
  for (int round = 0; round < 50; ++round) {
    bool changed = false;
    for (size_t i = 0; i < points.size(); ++i) {
      int best = 0;
      for (int c = 1; c < static_cast<int>(centres.size()); ++c) {
        if (SquaredDistance(points[i], centres[static_cast<size_t>(c)]) <
            SquaredDistance(points[i], centres[static_cast<size_t>(best)])) {
          best = c;
        }
      }
      changed = changed || best != group[i];
      group[i] = best;
    }
    for (size_t c = 0; c < centres.size(); ++c) {
      std::vector<double> sum(points.front().size());
      double members = 0;
      for (size_t i = 0; i < points.size(); ++i) {
        if (group[i] != static_cast<int>(c)) continue;
        AddTo(points[i], &sum);
        ++members;
      }
      if (members == 0) continue;
      for (double& each : sum) each /= members;
      centres[c] = std::move(sum);
    }
    if (!changed && round > 0) break;
  }
  return group;
}

// Prototypes of section 2.1 of the notes on the visual analytics paper, told by numbers.
std::string LooksOf(const HeadPattern& head) {
  const double near =
      head.rings.empty() ? 0 : head.rings[0] + (head.rings.size() > 1 ? head.rings[1] : 0);
  if (head.sink > 8 && head.sink_is_single) return "class token";
  if (head.sink > 8) return "sink";
  if (near > 0.5) return "local";
  if (head.entropy > 0.95) return "even";
  return head.distance > 0 && near > 0.25 ? "nearby" : "content";
}

}  // namespace

void HeadStatistics::Attended(Context& ctx, const AttentionCall& call) {
  if (call.site.kind == SiteKind::kCross) return;
  const auto matrix = MatrixOf(ctx, call);
  const int64_t all = matrix->Queries();
  const std::vector<int32_t> queries =
      all <= kMostQueries ? AllQueries(all) : SpreadQueries(all, kMostQueries);
  const Segment *q = GridOfLayout(call.spec.q), *k = GridOfLayout(call.spec.kv);
  for (int64_t head = 0; head < matrix->Heads(); ++head) {
    std::vector<Part> parts(kPassChunks);
    ForEachRow(*matrix, 0, head, queries,
               [&](int chunk, int32_t query, std::span<const float> row) {
                 AddRow(call, q, k, query, row, &parts[static_cast<size_t>(chunk)]);
               });
    Sums& sums = heads_[{call.site.index, static_cast<int>(head)}];
    sums.layer = call.site.path;
    sums.keys = matrix->Keys();
    sums.single_keys = 0;
    for (const Segment& segment : call.spec.kv) {
      if (segment.kind == SegmentKind::kGrid || segment.kind == SegmentKind::kText) break;
      sums.single_keys += segment.length;
    }
    for (const Part& part : parts) {
      sums.rows += part.rows;
      sums.grid_rows += part.grid_rows;
      sums.entropy += part.entropy;
      sums.squares += part.squares;
      sums.distance += part.distance;
      sums.single += part.single;
      sums.text += part.text;
      AddTo({part.rings.begin(), part.rings.end()}, &sums.rings);
      AddTo(part.received, &sums.received);
      AddTo(part.pattern, &sums.pattern);
    }
  }
}

std::vector<HeadPattern> HeadStatistics::Finish(int groups) const {
  std::vector<HeadPattern> heads;
  std::vector<std::vector<double>> points;
  for (const auto& [id, sums] : heads_) {
    if (sums.rows <= 0) continue;
    HeadPattern head;
    head.layer = sums.layer;
    head.site = id.first;
    head.head = id.second;
    const double even = std::log(static_cast<double>(std::max<int64_t>(2, sums.keys)));
    head.entropy = sums.entropy / sums.rows / even;
    head.effective_keys = sums.squares / sums.rows;
    head.single = sums.single / sums.rows;
    head.text = sums.text / sums.rows;
    if (sums.grid_rows > 0) {
      head.distance = sums.distance / sums.grid_rows;
      for (const double each : sums.rings) head.rings.push_back(each / sums.grid_rows);
      while (!head.rings.empty() && head.rings.back() == 0) head.rings.pop_back();
    }
    const auto most = std::max_element(sums.received.begin(), sums.received.end());
    head.sink = *most / sums.rows * static_cast<double>(sums.keys);
    head.sink_is_single = most - sums.received.begin() < sums.single_keys;
    std::vector<double> point;
    for (const double each : sums.pattern) {
      head.pattern.push_back(static_cast<float>(each));
      point.push_back(std::log(1e-4 + each / sums.rows * kPatternSide));
    }
    points.push_back(std::move(point));
    heads.push_back(std::move(head));
  }
  if (heads.empty()) return heads;
  const std::vector<int> group = Group(points, groups);
  for (size_t i = 0; i < heads.size(); ++i) {
    heads[i].group = group[i];
    heads[i].looks = LooksOf(heads[i]);
  }
  return heads;
}

double PatternSimilarity(const HeadPattern& a, const HeadPattern& b) {
  if (a.pattern.size() != b.pattern.size()) return 0;
  double dot = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.pattern.size(); ++i) {
    const auto x = static_cast<double>(a.pattern[i]), y = static_cast<double>(b.pattern[i]);
    dot += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa > 0 && bb > 0 ? dot / std::sqrt(aa * bb) : 0;
}

}  // namespace fovea
