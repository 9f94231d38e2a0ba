// Near tiles exactly, every other tile as one key: Combiner without its training.
#include <algorithm>
#include <cmath>

#include "attention/op_args.h"
#include "attention/selectors/tile_scores.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {{"ring", "0", "tiles that are near on each axis; 0: the own one alone"}};

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

const SelectorEntry kCombiner = {
    "combiner",
    {"near tiles, and each other tile as one key as heavy as its tokens",
     "ours after Ren et al. 2021, Combiner, arXiv:2107.05768 (which is trained)",
     "4 d (near keys + tiles) a query",
     "cross-attention, causal attention, fewer than 2 tiles, tiles of more than 64 tokens"},
    kArgs,
    {.fixed = true, .rest = false, .always = SelectorTraits::StandIn::kEachTile},
    [](const OpArgs& args) -> std::unique_ptr<const Selector> {
      return std::make_unique<Near>(args.Int("ring", 0, 1 << 20));
    }};

}  // namespace fovea
