// Tiles by pooled attention that weighs them by their tokens, until a share is passed.
#include <algorithm>
#include <cmath>

#include "attention/op_args.h"
#include "attention/selectors/tile_scores.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {{"p", "0.9", "share of the pooled attention that a row passes"},
                           {"floor", "0.1", "share of the tiles that a row keeps at least"}};

class Svg2 final : public Selector {
 public:
  Svg2(double p, double floor) : p_(p), floor_(floor) {}
  void Choose(const SelectorCall& call, TileBits& kept) const override {
    // One more channel adds ln(tokens) to each score.
    const auto d = static_cast<size_t>(call.q.shape[3]);
    const std::vector<float> q = TileMeans(call, call.q), k = TileMeans(call, call.k);
    std::vector<float> wide_q, wide_k;
    std::vector<int32_t> tile;
    for (size_t i = 0; i < call.Count(); ++i) {
      const auto at = static_cast<int64_t>(i * d), end = static_cast<int64_t>(i * d + d);
      wide_q.insert(wide_q.end(), q.begin() + at, q.begin() + end);
      wide_k.insert(wide_k.end(), k.begin() + at, k.begin() + end);
      wide_q.push_back(1);
      wide_k.push_back(std::log(static_cast<float>(call.Tile(i).count)) / call.scale);
      tile.push_back(static_cast<int32_t>(i));
    }
    const auto width = static_cast<int64_t>(d) + 1;
    const TileScores mass = AttentionMass(wide_q, tile, PackedKeys(wide_k, width, tile), width,
                                          call.scale, call.Count());
    if (!AllFinite(mass)) return kept.KeepAll();
    const auto least = static_cast<size_t>(floor_ * static_cast<double>(call.Count()));
    for (size_t i = 0; i < call.Count(); ++i) {
      const auto row = std::span(mass).subspan(i * call.Count(), call.Count());
      double before = 0;
      size_t n = 0;
      for (const int32_t j : Descending(row)) {  // one more than those whose sum is within p
        if (n > 0 && before > p_ && n >= least) break;
        kept.Keep(i, static_cast<size_t>(j));
        before += double(row[static_cast<size_t>(j)]);
        ++n;
      }
    }
  }
  double Flops(const SelectorCall& call, int64_t d) const override {
    const auto tiles = static_cast<double>(call.Count());
    return (2.0 * static_cast<double>(call.GridTokens()) + 2 * tiles * tiles) *
           static_cast<double>(d);
  }

 private:
  double p_, floor_;
};

}  // namespace

const SelectorEntry kSvg2 = {
    "svg2",
    {"tiles of the largest pooled attention, until a share is passed",
     "Yang et al. 2025, Sparse VideoGen 2, arXiv:2505.18875 (its map, on tiles instead of "
     "clusters)",
     "below 0.1 percent of dense to choose, then 4 n d times the kept keys",
     "cross-attention, causal attention, fewer than 2 tiles, tiles of more than 64 tokens"},
    kArgs,
    {},
    [](const OpArgs& args) -> std::unique_ptr<const Selector> {
      return std::make_unique<Svg2>(args.Number("p", 0, 1), args.Number("floor", 0, 1));
    }};

}  // namespace fovea
