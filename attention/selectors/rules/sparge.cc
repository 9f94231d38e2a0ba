// Tiles by pooled queries and keys, where a tile is even enough for its mean to stand for it.
#include <algorithm>
#include <cmath>

#include "attention/op_args.h"
#include "attention/selectors/tile_scores.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {
    {"keep", "0.5", "share of the tiles that each row keeps"},
    {"cdf", "", "instead of keep: share of the pooled attention"},
    {"sim", "", "evenness up to which a tile is always kept: -0.1, 0.6 with cdf"}};

struct Settings {
  double keep = 0, cdf = -1, sim = 0;  // cdf < 0: by keep
};

// Mean of the cosines of all pairs of a tile's rows: the square of the mean unit vector.
std::vector<float> Evenness(const SelectorCall& call, const Tensor& x,
                            const std::vector<double>& less) {
  const size_t d = less.size();
  std::vector<float> even;
  for (size_t i = 0; i < call.Count(); ++i) {
    const auto tokens = call.Positions(i);
    const std::vector<float> rows = RowsOf(call, x, tokens);
    std::vector<double> mean(d);
    for (size_t t = 0; t < tokens.size(); ++t) {
      double square = 0;
      for (size_t c = 0; c < d; ++c) square += std::pow(double(rows[t * d + c]) - less[c], 2);
      if (square == 0) continue;
      for (size_t c = 0; c < d; ++c)
        mean[c] += (double(rows[t * d + c]) - less[c]) / std::sqrt(square);
    }
    double sum = 0;
    for (const double m : mean) sum += m * m;
    even.push_back(static_cast<float>(sum / double(tokens.size()) / double(tokens.size())));
  }
  return even;
}

std::vector<double> GridMean(const SelectorCall& call, const std::vector<float>& means, size_t d) {
  std::vector<double> mean(d);
  for (size_t i = 0; i < call.Count(); ++i) {
    for (size_t c = 0; c < d; ++c) mean[c] += double(means[i * d + c]) * call.Tile(i).count;
  }
  for (double& m : mean) m /= double(call.GridTokens());
  return mean;
}

class Sparge final : public Selector {
 public:
  explicit Sparge(const Settings& settings) : settings_(settings) {}
  void Choose(const SelectorCall& call, TileBits& kept) const override {
    const auto d = static_cast<size_t>(call.q.shape[3]);
    const std::vector<float> q = TileMeans(call, call.q), k = TileMeans(call, call.k);
    if (!AllFinite(q) || !AllFinite(k)) return kept.KeepAll();
    const auto q_even = Evenness(call, call.q, std::vector<double>(d));
    const auto k_even = Evenness(call, call.k, GridMean(call, k, d));
    std::vector<int32_t> rows, pooled;
    ScoredKeys keys = PackedKeys(k, call.q.shape[3], {});
    for (size_t j = 0; j < call.Count(); ++j) {
      rows.push_back(static_cast<int32_t>(j));
      if (k_even[j] > settings_.sim) keys.index.push_back(rows.back());
    }
    keys.tile = keys.index;
    TileScores mass(call.Count() * call.Count());
    if (!keys.index.empty()) {
      mass = AttentionMass(q, rows, keys, call.q.shape[3], call.scale, call.Count());
    }
    if (!AllFinite(mass)) return kept.KeepAll();
    for (size_t i = 0; i < call.Count(); ++i) {
      for (size_t j = 0; j < call.Count(); ++j) {
        if (q_even[i] <= settings_.sim || k_even[j] <= settings_.sim) kept.Keep(i, j);
      }
      KeepRow(std::span(mass).subspan(i * call.Count(), call.Count()), i, kept);
    }
  }
  double Flops(const SelectorCall& call, int64_t d) const override {
    const auto tiles = static_cast<double>(call.Count());
    return (12.0 * static_cast<double>(call.GridTokens()) + 2 * tiles * tiles) *
           static_cast<double>(d);
  }

 private:
  void KeepRow(std::span<const float> row, size_t i, TileBits& kept) const {
    double sum = 0;
    size_t n = 0;
    for (const int32_t j : Descending(row)) {
      sum += double(row[static_cast<size_t>(j)]);
      // By cdf, the one that crosses the share is left out.
      const bool more =
          settings_.cdf < 0 ? n < Budget(settings_.keep, row.size()) : sum <= settings_.cdf;
      if (!more && n > 0) break;
      kept.Keep(i, static_cast<size_t>(j));
      ++n;
    }
  }

  Settings settings_;
};

Settings Read(const OpArgs& args) {
  if (args.Has("cdf") && args.Has("keep")) {
    throw Error(ErrorCode::kUsage, "sparge: keep and cdf exclude each other; give one");
  }
  Settings settings;
  settings.keep = args.Number("keep", 1e-6, 1);
  if (args.Has("cdf")) settings.cdf = args.Number("cdf", 0, 1);
  settings.sim = args.Has("sim") ? args.Number("sim", -1, 1) : args.Has("cdf") ? 0.6 : -0.1;
  return settings;
}

}  // namespace

const SelectorEntry kSparge = {
    "sparge",
    {"tiles by pooled queries and keys; uneven tiles are always kept",
     "Zhang et al. 2025, SpargeAttn, arXiv:2502.18137 (its choice of tiles; not its 8-bit "
     "products)",
     "below 0.1 percent of dense to choose, then 4 n d times the kept keys",
     "cross-attention, causal attention, fewer than 2 tiles, tiles of more than 64 tokens"},
    kArgs,
    {},
    [](const OpArgs& args) -> std::unique_ptr<const Selector> {
      return std::make_unique<Sparge>(Read(args));
    }};

}  // namespace fovea
