// Tiles by what a tile's own attention makes of it, instead of its mean.
#include <algorithm>
#include <cmath>

#include "attention/selectors/tile_scores.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {{"keep", "0.25", "share of the tiles that each row keeps"}};

using Row = std::vector<double>;

// softmax(scale q kT) of one query over `count` keys.
Row Weights(const float* q, const std::vector<float>& keys, size_t count, size_t d, double scale) {
  Row weights(count);
  double largest = -INFINITY, sum = 0;
  for (size_t x = 0; x < count; ++x) {
    for (size_t c = 0; c < d; ++c) weights[x] += double(q[c]) * double(keys[x * d + c]);
    largest = std::max(largest, weights[x] *= scale);
  }
  for (double& w : weights) sum += w = std::exp(w - largest);
  for (double& w : weights) w /= sum;
  return weights;
}

class LongHeads final : public Selector {
 public:
  explicit LongHeads(double keep) : keep_(keep) {}
  void Choose(const SelectorCall& call, TileBits& kept) const override {
    const size_t count = call.Count(), d = static_cast<size_t>(call.q.shape[3]);
    const std::vector<float> means = TileMeans(call, call.q);
    std::vector<Row> summaries;
    for (size_t j = 0; j < count; ++j) summaries.push_back(Summary(call, j));
    TileScores scores(count * count);
    for (size_t i = 0; i < count; ++i) {
      for (size_t j = 0; j < count; ++j) {
        double dot = 0;
        for (size_t c = 0; c < d; ++c) dot += double(means[i * d + c]) * summaries[j][c];
        scores[i * count + j] = static_cast<float>(dot);
      }
    }
    KeepLargest(scores, MostKept(count), kept);
  }
  double Flops(const SelectorCall& call, int64_t d) const override {
    const auto tokens = static_cast<double>(call.GridTokens());
    return 4.0 * tokens * kTileTokens * static_cast<double>(d);
  }
  size_t MostKept(size_t count) const override { return Budget(keep_, count); }

 private:
  // The tile's keys, weighed by the attention of its mean output. That an output, made of values,
  // is asked as a query is the paper's own code's doing.
  static Row Summary(const SelectorCall& call, size_t tile) {
    const auto positions = call.Positions(tile);
    const size_t tokens = positions.size(), d = static_cast<size_t>(call.q.shape[3]);
    const std::vector<float> q = RowsOf(call, call.q, positions),
                             k = RowsOf(call, call.k, positions),
                             v = RowsOf(call, call.v, positions);
    const double scale = double(call.scale);
    std::vector<float> mean(d);
    Row sum(d), summary(d);
    for (size_t a = 0; a < tokens; ++a) {
      const Row weights = Weights(q.data() + a * d, k, tokens, d, scale);
      for (size_t x = 0; x < tokens; ++x) {
        for (size_t c = 0; c < d; ++c) sum[c] += weights[x] * double(v[x * d + c]);
      }
    }
    for (size_t c = 0; c < d; ++c) mean[c] = static_cast<float>(sum[c] / double(tokens));
    const Row weights = Weights(mean.data(), k, tokens, d, scale);
    for (size_t x = 0; x < tokens; ++x) {
      for (size_t c = 0; c < d; ++c) summary[c] += weights[x] * double(k[x * d + c]);
    }
    return summary;
  }

  double keep_;
};

}  // namespace

const SelectorEntry kLongHeads = {
    "longheads",
    {"tiles by keys that a tile's own attention sums up",
     "Lu et al. 2024, LongHeads, arXiv:2402.10685 (its choice; not its positions)",
     "1 / tiles of dense to choose, then 4 n d times the kept keys",
     "cross-attention, causal attention, fewer than 2 tiles, tiles of more than 64 tokens"},
    kArgs,
    {},
    [](const OpArgs& args) -> std::unique_ptr<const Selector> {
      return std::make_unique<LongHeads>(args.Number("keep", 1e-6, 1));
    }};

}  // namespace fovea
