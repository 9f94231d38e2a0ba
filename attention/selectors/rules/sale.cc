// Tiles with one pair that counts beside text and near tiles, by scores of 4 bits.
#include <algorithm>
#include <cmath>

#include "attention/selectors/tile_scores.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {
    {"tau", "0.008", "least weight of a pair, over the sum of text and near tiles"},
    {"ring", "1", "tiles that are near on each axis"},
    {"bits", "4", "of the scores: 4 or 8"}};

// Rows of whole numbers within +-levels, and what a unit of each is worth.
struct Quantised {
  std::vector<float> rows, unit;
};

Quantised Quantise(const std::vector<float>& rows, size_t d, float levels) {
  Quantised out{rows, std::vector<float>(rows.size() / d)};
  for (size_t i = 0; i < out.unit.size(); ++i) {
    float* row = out.rows.data() + i * d;
    float largest = 0;
    for (size_t c = 0; c < d; ++c) largest = std::max(largest, std::abs(row[c]));
    out.unit[i] = largest / levels;
    // nearbyint rounds halves to even.
    for (size_t c = 0; c < d; ++c) row[c] = largest == 0 ? 0 : std::nearbyint(row[c] / out.unit[i]);
  }
  return out;
}

// Subtracts the mean of the grid's rows, which are those from `first` on; gives that mean.
std::vector<float> Centre(std::vector<float>& rows, size_t d, size_t first) {
  std::vector<double> sum(d);
  const size_t count = rows.size() / d;
  for (size_t i = first; i < count; ++i) {
    for (size_t c = 0; c < d; ++c) sum[c] += double(rows[i * d + c]);
  }
  std::vector<float> mean(d);
  for (size_t c = 0; c < d; ++c) mean[c] = static_cast<float>(sum[c] / double(count - first));
  for (size_t i = 0; i < count; ++i) {
    for (size_t c = 0; c < d; ++c) rows[i * d + c] -= mean[c];
  }
  return mean;
}

// 64 columns, of which `queries` are rows of `from`, times `scale`.
std::vector<float> Columns(const float* from, size_t queries, size_t d, float scale) {
  std::vector<float> block(d * kScoreQueries);
  for (size_t a = 0; a < queries; ++a) {
    for (size_t c = 0; c < d; ++c) block[c * kScoreQueries + a] = scale * from[a * d + c];
  }
  return block;
}

class Sale final : public Selector {
 public:
  Sale(double tau, int ring, float levels) : tau_(tau), ring_(ring), levels_(levels) {}
  void Choose(const SelectorCall& call, TileBits& kept) const override {
    const size_t d = static_cast<size_t>(call.q.shape[3]), count = call.Count();
    const auto text = static_cast<size_t>(call.Tile(0).begin);  // its tokens come first
    std::vector<int32_t> all(call.tiles.tokens.size());
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int32_t>(i);
    const std::vector<float> q = RowsOf(call, call.q, {all.begin() + int64_t(text), all.end()});
    std::vector<float> k = RowsOf(call, call.k, all), centred = q;
    if (!AllFinite(q) || !AllFinite(k)) return kept.KeepAll();
    const std::vector<float> mean = Centre(centred, d, 0);
    Centre(k, d, text);  // text, too: a shift of all scores of a row, which softmax cannot see
    const Quantised small_q = Quantise(centred, d, levels_), small_k = Quantise(k, d, levels_);
    std::vector<float> shift(all.size());
    for (size_t x = 0; x < all.size(); ++x) {
      double sum = 0;
      for (size_t c = 0; c < d; ++c) sum += double(mean[c]) * double(k[x * d + c]);
      shift[x] = static_cast<float>(sum);
    }
    const auto rows_of = [d](const std::vector<float>& rows) {
      return KeyRows{reinterpret_cast<const std::byte*>(rows.data()), static_cast<int64_t>(d)};
    };
    std::vector<float> scores;
    for (size_t i = 0; i < count; ++i) {
      const auto queries = static_cast<size_t>(call.Tile(i).count);
      const auto first = static_cast<size_t>(call.Tile(i).begin) - text;
      std::vector<int32_t> near(all.begin(), all.begin() + int64_t(text)), far;
      for (size_t j = 0; j < count; ++j) {
        const bool is_near = IsNear(call.Tile(i), call.Tile(j), ring_);
        if (is_near) kept.Keep(i, j);
        const auto own = call.Positions(j);
        (is_near ? near : far).insert((is_near ? near : far).end(), own.begin(), own.end());
      }
      scores.resize(std::max(near.size(), far.size()) * kScoreQueries);
      ScoreBlockCpu(Columns(q.data() + first * d, queries, d, call.scale).data(), rows_of(k), false,
                    int64_t(d), near.data(), int64_t(near.size()), scores.data());
      std::vector<double> least(queries);  // of the estimate, without the score's scale
      for (size_t a = 0; a < queries; ++a) {
        least[a] =
            (LogSum(scores, near.size(), a) + std::log(tau_)) / static_cast<double>(call.scale);
      }
      ScoreBlockCpu(Columns(small_q.rows.data() + first * d, queries, d, 1).data(),
                    rows_of(small_k.rows), false, int64_t(d), far.data(), int64_t(far.size()),
                    scores.data());
      size_t x = 0;
      for (size_t j = 0; j < count; ++j) {
        if (IsNear(call.Tile(i), call.Tile(j), ring_)) continue;
        bool any = false;
        for (int32_t t = 0; t < call.Tile(j).count; ++t, ++x) {
          const auto key = static_cast<size_t>(far[x]);
          for (size_t a = 0; a < queries; ++a) {
            const float estimate =
                small_q.unit[first + a] * small_k.unit[key] * scores[x * kScoreQueries + a] +
                shift[key];
            any = any || double(estimate) > least[a];
          }
        }
        if (any) kept.Keep(i, j);
      }
    }
  }
  double Flops(const SelectorCall& call, int64_t d) const override {
    const auto tokens = static_cast<double>(call.GridTokens());
    return 2.0 * tokens * tokens * static_cast<double>(d);
  }

 private:
  static double LogSum(const std::vector<float>& scores, size_t count, size_t column) {
    double largest = -INFINITY, sum = 0;
    for (size_t x = 0; x < count; ++x) {
      largest = std::max(largest, double(scores[x * kScoreQueries + column]));
    }
    for (size_t x = 0; x < count; ++x) {
      sum += std::exp(double(scores[x * kScoreQueries + column]) - largest);
    }
    return largest + std::log(sum);
  }

  double tau_;
  int ring_;
  float levels_;
};

}  // namespace

const SelectorEntry kSale = {
    "sale",
    {"near tiles, and each tile with a pair above tau of text and near tiles, scores in few bits",
     "Ji et al. 2025, SALE, arXiv:2505.24179 (its choice; tiles of a grid are ours)",
     "half of dense to choose, so it pays with refresh; then 4 n d times the kept keys",
     "cross-attention, causal attention, fewer than 2 tiles, tiles of more than 64 tokens"},
    kArgs,
    {},
    [](const OpArgs& args) -> std::unique_ptr<const Selector> {
      return std::make_unique<Sale>(args.Number("tau", 1e-12, 1e6), args.Int("ring", 0, 1 << 20),
                                    args.Word("bits", {"4", "8"}) == "4" ? 7.0f : 127.0f);
    }};

}  // namespace fovea
