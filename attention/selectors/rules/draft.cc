// The pairs of tiles of largest pooled attention, one threshold for all rows of a head.
#include <algorithm>
#include <cmath>

#include "attention/op_args.h"
#include "attention/selectors/tile_scores.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {{"keep", "0.25", "share of all pairs of tiles of a head"}};

class Draft final : public Selector {
 public:
  explicit Draft(double keep) : keep_(keep) {}
  void Choose(const SelectorCall& call, TileBits& kept) const override {
    const TileScores mass = PooledMass(call);
    if (!AllFinite(mass)) return kept.KeepAll();
    const auto below = static_cast<size_t>((1 - keep_) * static_cast<double>(mass.size()));
    if (below == 0) return kept.KeepAll();
    TileScores sorted = mass;
    std::sort(sorted.begin(), sorted.end());
    for (size_t pair = 0; pair < mass.size(); ++pair) {
      if (mass[pair] >= sorted[below - 1]) kept.Keep(pair / call.Count(), pair % call.Count());
    }
  }
  double Flops(const SelectorCall& call, int64_t d) const override {
    const auto tiles = static_cast<double>(call.Count());
    return (2.0 * static_cast<double>(call.GridTokens()) + 2 * tiles * tiles) *
           static_cast<double>(d);
  }

 private:
  double keep_;
};

}  // namespace

const SelectorEntry kDraft = {
    "draft",
    {"pairs of tiles above one threshold of pooled attention for each head",
     "Shen et al. 2025, DraftAttention, arXiv:2505.14708",
     "below 0.1 percent of dense to choose, then 4 n d times the kept keys",
     "cross-attention, causal attention, fewer than 2 tiles, tiles of more than 64 tokens"},
    kArgs,
    {},
    [](const OpArgs& args) -> std::unique_ptr<const Selector> {
      return std::make_unique<Draft>(args.Number("keep", 1e-6, 1));
    }};

}  // namespace fovea
