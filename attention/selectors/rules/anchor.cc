// Single keys whose score with the tile's mean query comes near the largest of the tile's
// neighbourhood.
#include <algorithm>
#include <cmath>
#include <map>

#include "attention/selectors/tile_scores.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {
    {"theta", "12", "how far below the neighbourhood's largest score a key may lie"},
    {"step", "2", "tiles on each axis that share what they choose"},
    {"ring", "1", "tiles that are near on each axis"}};

class Anchor final : public Selector {
 public:
  Anchor(double theta, AxisValues step, int ring)
      : theta_(theta), step_(std::move(step)), ring_(ring) {}
  void ChooseKeys(std::span<const SelectorCall> heads, std::span<KeyBits> kept) const override {
    for (size_t h = 0; h < heads.size(); ++h) ChooseFor(heads[h], kept[h]);
  }
  double Flops(const SelectorCall& call, int64_t d) const override {
    double near = 1;
    for (const int boxes : call.tiles.boxes) near *= std::min(boxes, 2 * ring_ + 1);
    return 2.0 * static_cast<double>(call.GridTokens()) *
           (static_cast<double>(call.Count()) + near * kTileTokens) * static_cast<double>(d);
  }

 private:
  void ChooseFor(const SelectorCall& call, KeyBits& kept) const {
    const auto d = static_cast<size_t>(call.q.shape[3]);
    std::vector<int32_t> text(static_cast<size_t>(call.Tile(0).begin));
    std::iota(text.begin(), text.end(), 0);
    const ScoredKeys keys = GridKeys(call);
    const std::vector<float> means = TileMeans(call, call.q);
    std::map<std::array<int, 3>, std::vector<size_t>> groups;
    std::vector<double> largest(call.Count());
    const std::array<int, 3> step = step_.On(call.tiles.grid);
    for (size_t i = 0; i < call.Count(); ++i) {
      std::array<int, 3> group = call.Tile(i).index;
      for (size_t a = 0; a < 3; ++a) group[a] /= step[a];
      groups[group].push_back(i);
      std::vector<int32_t> near = text;
      for (size_t j = 0; j < call.Count(); ++j) {
        if (!IsNear(call.Tile(i), call.Tile(j), ring_)) continue;
        const auto own = call.Positions(j);
        near.insert(near.end(), own.begin(), own.end());
        kept.KeepTile(i, j);
      }
      largest[i] = MeanOfLargest(call, i, near);
    }
    std::vector<float> scores(keys.index.size());
    for (const auto& [place, tiles] : groups) {
      for (const size_t i : tiles) {
        ScoreKeysCpu(means.data() + i * d, keys.rows, keys.bf16, int64_t(d), keys.index.data(),
                     int64_t(scores.size()), call.scale, scores.data());
        if (!std::isfinite(largest[i]) || !AllFinite(scores)) return kept.KeepAll();
        size_t x = 0;
        for (size_t j = 0; j < call.Count(); ++j) {
          for (int t = 0; t < call.Tile(j).count; ++t, ++x) {
            if (double(scores[x]) + theta_ < largest[i]) continue;
            for (const size_t member : tiles) kept.Keep(member, j, t);
          }
        }
      }
    }
  }

  // The mean over a tile's queries of their largest score with these keys.
  static double MeanOfLargest(const SelectorCall& call, size_t tile,
                              const std::vector<int32_t>& positions) {
    const auto d = static_cast<size_t>(call.q.shape[3]);
    const auto queries = static_cast<size_t>(call.Tile(tile).count);
    const std::vector<float> q = RowsOf(call, call.q, call.Positions(tile)),
                             k = RowsOf(call, call.k, positions);
    std::vector<float> block(d * kScoreQueries), scores(positions.size() * kScoreQueries);
    for (size_t a = 0; a < queries; ++a) {
      for (size_t c = 0; c < d; ++c) block[c * kScoreQueries + a] = call.scale * q[a * d + c];
    }
    std::vector<int32_t> packed(positions.size());
    std::iota(packed.begin(), packed.end(), 0);
    ScoreBlockCpu(block.data(), {reinterpret_cast<const std::byte*>(k.data()), int64_t(d)}, false,
                  int64_t(d), packed.data(), int64_t(packed.size()), scores.data());
    if (!AllFinite(scores)) return NAN;
    double sum = 0;
    for (size_t a = 0; a < queries; ++a) {
      float largest = -INFINITY;
      for (size_t x = 0; x < positions.size(); ++x) {
        largest = std::max(largest, scores[x * kScoreQueries + a]);
      }
      sum += double(largest);
    }
    return sum / static_cast<double>(queries);
  }

  double theta_;
  AxisValues step_;
  int ring_;
};

}  // namespace

const SelectorEntry kAnchor = {
    "anchor",
    {"near tiles, and single keys within theta of their largest score",
     "Zhang et al. 2025, AnchorAttention, arXiv:2505.23520 (tiles of a grid are ours)",
     "1/128 of dense and the scores of near tiles to choose; a tile of which one key is kept costs "
     "as much as a whole one",
     "cross-attention, causal attention, fewer than 2 tiles, tiles of more than 64 tokens"},
    kArgs,
    {.keys = true, .rest = false},
    [](const OpArgs& args) -> std::unique_ptr<const Selector> {
      return std::make_unique<Anchor>(args.Number("theta", -1e6, 1e6),
                                      args.PerAxis("step", 1, 1 << 20),
                                      args.Int("ring", 0, 1 << 20));
    }};

}  // namespace fovea
