// The tiles of largest exact attention mass, chosen once and used for the steps after.
#include <algorithm>
#include <cmath>

#include "attention/op_args.h"
#include "attention/selectors/tile_scores.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {
    {"select", "0.3", "share of the tiles that each row keeps, and one more"}};

class SparseD final : public Selector {
 public:
  explicit SparseD(double select) : select_(select) {}
  void Choose(const SelectorCall& call, TileBits& kept) const override {
    const ScoredKeys keys = GridKeys(call);
    std::vector<int32_t> all(keys.tile.size());
    for (size_t i = 0; i < all.size(); ++i) all[i] = call.Tile(0).begin + static_cast<int32_t>(i);
    KeepLargest(AttentionMass(RowsOf(call, call.q, all), keys.tile, keys, call.q.shape[3],
                              call.scale, call.Count()),
                MostKept(call.Count()), kept);
  }
  double Flops(const SelectorCall& call, int64_t d) const override {
    const auto n = static_cast<double>(call.GridTokens());
    return 2.0 * n * n * static_cast<double>(d);
  }
  size_t MostKept(size_t count) const override {
    return std::min(count, static_cast<size_t>(select_ * static_cast<double>(count)) + 1);
  }

 private:
  double select_;
};

}  // namespace

const SelectorEntry kSparsed = {
    "sparsed",
    {"tiles of the largest attention at the first step, which is dense, kept afterwards",
     "Wang et al. 2025, SparseD, arXiv:2509.24014 (square tiles are ours)",
     "at the step that chooses 6 n^2 d, then 4 n d times the kept keys",
     "cross-attention, causal attention, fewer than 2 tiles, tiles of more than 64 tokens"},
    kArgs,
    {.once = true, .own_tile = false},
    [](const OpArgs& args) -> std::unique_ptr<const Selector> {
      return std::make_unique<SparseD>(args.Number("select", 1e-6, 1));
    }};

}  // namespace fovea
