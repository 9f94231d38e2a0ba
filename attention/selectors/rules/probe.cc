// The tiles that a few exact query rows of each tile weigh most. Ours.
#include <algorithm>
#include <cmath>

#include "attention/op_args.h"
#include "attention/selectors/tile_scores.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {{"rows", "4", "queries of a tile that are asked"},
                           {"keep", "0.25", "share of the tiles that each row keeps"}};

class Probe final : public Selector {
 public:
  Probe(int rows, double keep) : rows_(rows), keep_(keep) {}
  void Choose(const SelectorCall& call, TileBits& kept) const override {
    std::vector<int32_t> asked, tile;
    for (size_t i = 0; i < call.Count(); ++i) {
      const TokenTile& own = call.Tile(i);
      const int r = std::min(rows_, own.count);
      for (int u = 0; u < r; ++u) {
        asked.push_back(own.begin + (2 * u + 1) * own.count / (2 * r));
        tile.push_back(static_cast<int32_t>(i));
      }
    }
    KeepLargest(AttentionMass(RowsOf(call, call.q, asked), tile, GridKeys(call), call.q.shape[3],
                              call.scale, call.Count()),
                MostKept(call.Count()), kept);
  }
  double Flops(const SelectorCall& call, int64_t d) const override {
    return 2.0 * static_cast<double>(call.Count()) * rows_ *
           static_cast<double>(call.GridTokens()) * static_cast<double>(d);
  }
  size_t MostKept(size_t count) const override { return Budget(keep_, count); }

 private:
  int rows_;
  double keep_;
};

}  // namespace

const SelectorEntry kProbe = {
    "probe",
    {"tiles that a few queries of each tile weigh most",
     "ours, after the representative rows of FlexPrefill, arXiv:2502.20766",
     "rows / 128 of dense to choose, then 4 n d times the kept keys",
     "cross-attention, causal attention, fewer than 2 tiles, tiles of more than 64 tokens"},
    kArgs,
    {},
    [](const OpArgs& args) -> std::unique_ptr<const Selector> {
      return std::make_unique<Probe>(args.Int("rows", 1, 64), args.Number("keep", 1e-6, 1));
    }};

}  // namespace fovea
