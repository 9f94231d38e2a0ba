// What the picture's parts have to do with each other, from self-attention of all layers together:
// components, and segments as DiffSeg finds them.
//
// Tian et al., "Diffuse, Attend, and Segment" (2023), arXiv:2308.12469: heads and layers of one
// resolution are averaged, keys resized to the finest grid and rows made to sum to 1, queries
// repeated, resolutions weighted by their side; then rows that are alike (half the sum of both
// Kullback-Leibler divergences) are merged, beginning from anchors on a grid, and each token goes
// to the merged row that gives it most. Components: Hertz et al. 2022 (arXiv:2208.01626) show the
// first right singular vectors of the same rows, centred.
#pragma once

#include <array>
#include <map>
#include <vector>

#include "pipelines/maps/heat_map.h"
#include "pipelines/maps/map_selection.h"

namespace fovea {

// Rows of all tokens of a grid over all tokens of the grid, each summing to 1.
struct SelfAttention {
  int height = 0, width = 0;
  std::vector<float> rows;  // (height * width)^2
  int64_t Tokens() const { return int64_t{height} * width; }
};

class SelfCollector final : public AttentionListener {
 public:
  // Layers with more than `most_tokens` image tokens are left out: their matrix would be too large.
  explicit SelfCollector(const MapSelection& selection, int64_t most_tokens = 4096)
      : selection_(selection), most_tokens_(most_tokens) {}
  void Attended(Context& ctx, const AttentionCall& call) override;
  bool Empty() const { return sums_.empty(); }
  SelfAttention Finish() const;

 private:
  struct Sum {
    int count = 0;
    std::vector<float> rows;
  };
  MapSelection selection_;
  int64_t most_tokens_;
  std::map<std::array<int, 2>, Sum> sums_;  // by grid
};

struct SegmentOptions {
  int anchors = 16;        // on each side, or as many as there are tokens
  double threshold = 0.9;  // of the divergence below which rows are one
  int rounds = 3;          // of merging, the anchors' included
};

// The segment of every token, 0, 1, ... by falling size.
HeatMap Segments(const SelfAttention& self, const SegmentOptions& options);

// The first `count` components, each of unit norm, its largest value positive.
std::vector<HeatMap> Components(const SelfAttention& self, int count);

}  // namespace fovea
