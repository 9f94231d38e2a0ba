// Near tiles exactly, all others together as one key: RazorAttention for heads that look near.
#include <algorithm>
#include <cmath>

#include "attention/op_args.h"
#include "attention/selectors/tile_scores.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {{"ring", "1", "tiles that are near on each axis; 0: the own one alone"}};

class Near final : public Selector {
 public:
  explicit Near(int ring) : ring_(ring) {}
  void Choose(const SelectorCall& call, TileBits& kept) const override {
    for (size_t i = 0; i < call.Count(); ++i) {
      for (size_t j = 0; j < call.Count(); ++j) {
        if (IsNear(call.Tile(i), call.Tile(j), ring_)) kept.Keep(i, j);
      }
    }
  }

 private:
  int ring_;
};

}  // namespace

const SelectorEntry kRazor = {
    "razor",
    {"near tiles, and one key for all other tiles together",
     "Tang et al. 2024, RazorAttention, arXiv:2407.15891 (tiles are ours)",
     "4 d (near keys + 1) a query",
     "cross-attention, causal attention, fewer than 2 tiles, tiles of more than 64 tokens"},
    kArgs,
    {.fixed = true, .rest = false, .always = SelectorTraits::StandIn::kAllTiles},
    [](const OpArgs& args) -> std::unique_ptr<const Selector> {
      return std::make_unique<Near>(args.Int("ring", 0, 1 << 20));
    }};

}  // namespace fovea
