// A tree search for the tiles with the largest scores, which sees few tiles on its way.
#include <algorithm>
#include <cmath>

#include "attention/selectors/tile_scores.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {{"keep", "0.25", "share of the tiles that each row keeps"}};

struct Node {
  size_t start = 0, size = 0;  // tiles
  float score = 0;             // of the first
};

// The largest score of a query tile's odd queries with the keys of one tile, computed when asked.
class LargestPairs {
 public:
  LargestPairs(const SelectorCall& call, const ScoredKeys& keys, size_t row)
      : call_(call), keys_(keys), of_(call.Count()), asked_(call.Count()) {
    std::vector<int32_t> odd;
    const auto all = call.Positions(row);
    for (size_t a = 1; a < all.size(); a += 2) odd.push_back(all[a]);
    if (odd.empty()) odd = all;
    queries_ = odd.size();
    const std::vector<float> rows = RowsOf(call, call.q, odd);
    const size_t d = static_cast<size_t>(call.q.shape[3]), block = kScoreQueries;
    block_.resize(d * block);
    for (size_t a = 0; a < queries_; ++a) {
      for (size_t c = 0; c < d; ++c) block_[c * block + a] = rows[a * d + c];
    }
  }

  float Of(size_t tile) {
    if (asked_[tile]) return of_[tile];
    const TokenTile& keys = call_.Tile(tile);
    const int32_t first = keys.begin - call_.Tile(0).begin;
    float scores[kTileTokens * kScoreQueries];
    ScoreBlockCpu(block_.data(), keys_.rows, keys_.bf16, call_.q.shape[3],
                  keys_.index.data() + first, keys.count, scores);
    float largest = -INFINITY;
    for (int32_t x = 0; x < keys.count; ++x) {
      for (size_t a = 0; a < queries_; ++a) {
        largest = std::max(largest, scores[size_t(x) * kScoreQueries + a]);
      }
    }
    asked_[tile] = true;
    return of_[tile] = largest;
  }

 private:
  const SelectorCall& call_;
  const ScoredKeys& keys_;
  std::vector<float> of_, block_;
  std::vector<bool> asked_;
  size_t queries_ = 0;
};

class Hip final : public Selector {
 public:
  explicit Hip(double keep) : keep_(keep) {}
  void Choose(const SelectorCall& call, TileBits& kept) const override {
    const size_t count = call.Count(), most = MostKept(count);
    if (count <= most || !AllFinite(TileMeans(call, call.q)) ||
        !AllFinite(TileMeans(call, call.k))) {
      return kept.KeepAll();
    }
    const ScoredKeys keys = GridKeys(call);
    const double share = static_cast<double>(count) / static_cast<double>(most);
    for (size_t i = 0; i < count; ++i) {
      LargestPairs pairs(call, keys, i);
      std::vector<Node> nodes;
      for (size_t t = 0; t < most; ++t) {
        const auto start = static_cast<size_t>(share * double(t));
        nodes.push_back({start, static_cast<size_t>(share * double(t + 1)) - start});
      }
      for (double left = share; left > 1; left /= 2) nodes = Descend(nodes, most, pairs);
      for (const Node& node : nodes) kept.Keep(i, node.start);
    }
  }
  double Flops(const SelectorCall& call, int64_t d) const override {
    const auto count = static_cast<double>(call.Count());
    const auto most = static_cast<double>(MostKept(call.Count()));
    const double products = std::min(count, 2 * most * std::max(1.0, std::log2(count / most)));
    return products * static_cast<double>(call.GridTokens()) * kTileTokens * static_cast<double>(d);
  }
  size_t MostKept(size_t count) const override { return Budget(keep_, count); }

 private:
  static std::vector<Node> Descend(const std::vector<Node>& nodes, size_t most,
                                   LargestPairs& pairs) {
    std::vector<Node> halves;
    for (const Node& node : nodes) {
      const size_t half = node.size / 2;
      if (half > 0) halves.push_back({node.start, half, pairs.Of(node.start)});
      if (node.size > half) {
        halves.push_back({node.start + half, node.size - half, pairs.Of(node.start + half)});
      }
    }
    std::stable_sort(halves.begin(), halves.end(),
                     [](const Node& a, const Node& b) { return a.score > b.score; });
    if (halves.size() > most) halves.resize(most);
    std::sort(halves.begin(), halves.end(),
              [](const Node& a, const Node& b) { return a.start < b.start; });
    return halves;
  }

  double keep_;
};

}  // namespace

const SelectorEntry kHip = {
    "hip",
    {"a tree search for the tiles of the largest scores",
     "Lee et al. 2024, HiP Attention, arXiv:2406.09827 (representatives are whole tiles)",
     "keep / 2 log2(1 / keep) of dense to choose, then 4 n d times the kept keys",
     "cross-attention, causal attention, fewer than 2 tiles, tiles of more than 64 tokens"},
    kArgs,
    {},
    [](const OpArgs& args) -> std::unique_ptr<const Selector> {
      return std::make_unique<Hip>(args.Number("keep", 1e-6, 1));
    }};

}  // namespace fovea
