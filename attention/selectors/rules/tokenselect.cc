// Single keys by a vote of the heads: one choice for all heads that run the operator.
#include <algorithm>
#include <cmath>

#include "attention/selectors/tile_scores.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {{"keep", "0.1", "share of the keys that each tile keeps"},
                           {"ring", "1", "tiles that are near on each axis"}};

class TokenSelect final : public Selector {
 public:
  TokenSelect(double keep, int ring) : keep_(keep), ring_(ring) {}
  void ChooseKeys(std::span<const SelectorCall> heads, std::span<KeyBits> kept) const override {
    const SelectorCall& any = heads.front();
    const size_t count = any.Count(), tokens = any.GridTokens(), budget = Budget(keep_, tokens);
    std::vector<size_t> tile, number;  // of each key of the grid
    for (size_t j = 0; j < count; ++j) {
      for (int t = 0; t < any.Tile(j).count; ++t) tile.push_back(j), number.push_back(size_t(t));
    }
    const std::vector<float> votes = Votes(heads, tile);
    KeyBits chosen(count);
    if (AllFinite(votes)) {
      for (size_t i = 0; i < count; ++i) {
        // Ties go to the lower token, wherever its tile lies.
        std::vector<size_t> order;
        for (size_t x = 0; x < tokens; ++x) {
          if (!IsNear(any.Tile(i), any.Tile(tile[x]), ring_)) order.push_back(x);
        }
        const float* row = votes.data() + i * tokens;
        const auto* token = any.tiles.tokens.data() + any.Tile(0).begin;
        std::sort(order.begin(), order.end(), [row, token](size_t a, size_t b) {
          return row[a] != row[b] ? row[a] > row[b] : token[a] < token[b];
        });
        if (order.size() > budget) order.resize(budget);
        for (const size_t x : order) chosen.Keep(i, tile[x], static_cast<int>(number[x]));
        for (size_t j = 0; j < count; ++j) {
          if (IsNear(any.Tile(i), any.Tile(j), ring_)) chosen.KeepTile(i, j);
        }
      }
    } else {
      chosen.KeepAll();
    }
    std::fill(kept.begin(), kept.end(), chosen);
  }
  double Flops(const SelectorCall& call, int64_t d) const override {
    return 2.0 * static_cast<double>(call.GridTokens()) * static_cast<double>(call.Count() + 1) *
           static_cast<double>(d);
  }

 private:
  // (tiles, keys of the grid): what the tile's mean query gives to keys that are not near, summed
  // over heads.
  std::vector<float> Votes(std::span<const SelectorCall> heads,
                           const std::vector<size_t>& tile) const {
    const size_t count = heads.front().Count(), tokens = tile.size();
    std::vector<float> votes(count * tokens), block, scores(tokens * kScoreQueries);
    for (const SelectorCall& call : heads) {
      const auto d = static_cast<size_t>(call.q.shape[3]);
      const std::vector<float> means = TileMeans(call, call.q);
      const ScoredKeys keys = GridKeys(call);
      for (size_t first = 0; first < count; first += kScoreQueries) {
        const size_t rows = std::min<size_t>(kScoreQueries, count - first);
        block.assign(d * kScoreQueries, 0);
        for (size_t i = 0; i < rows; ++i) {
          for (size_t c = 0; c < d; ++c) {
            block[c * kScoreQueries + i] = call.scale * means[(first + i) * d + c];
          }
        }
        ScoreBlockCpu(block.data(), keys.rows, keys.bf16, int64_t(d), keys.index.data(),
                      int64_t(tokens), scores.data());
        for (size_t x = 0; x < tokens; ++x) {
          for (size_t i = 0; i < rows; ++i) {
            const bool near = IsNear(call.Tile(first + i), call.Tile(tile[x]), ring_);
            float& score = scores[x * kScoreQueries + i];
            if (near && std::isfinite(score)) score = -INFINITY;
          }
        }
        SoftmaxBlockCpu(scores.data(), int64_t(tokens));
        for (size_t i = 0; i < rows; ++i) {
          float* row = votes.data() + (first + i) * tokens;
          for (size_t x = 0; x < tokens; ++x) row[x] += scores[x * kScoreQueries + i];
        }
      }
    }
    return votes;
  }

  double keep_;
  int ring_;
};

}  // namespace

const SelectorEntry kTokenSelect = {
    "tokenselect",
    {"near tiles, and single keys that the heads vote for: the same ones in all heads",
     "Wu et al. 2024, TokenSelect, arXiv:2411.02886 (tiles of a grid are ours)",
     "1/128 of dense to choose; a tile of which one key is kept costs as much as a whole one",
     "cross-attention, causal attention, fewer than 2 tiles, tiles of more than 64 tokens"},
    kArgs,
    {.keys = true, .rest = false},
    [](const OpArgs& args) -> std::unique_ptr<const Selector> {
      return std::make_unique<TokenSelect>(args.Number("keep", 1e-6, 1),
                                           args.Int("ring", 0, 1 << 20));
    }};

}  // namespace fovea
