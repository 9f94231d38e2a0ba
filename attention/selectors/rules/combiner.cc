// Near tiles exactly, every other tile as one key: Combiner without its training.
#include "attention/selectors/rules/near_tiles.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {{"ring", "0", "tiles that are near on each axis; 0: the own one alone"}};

}  // namespace

const SelectorEntry kCombiner = {
    "combiner",
    {"near tiles, and each other tile as one key as heavy as its tokens",
     "ours after Ren et al. 2021, Combiner, arXiv:2107.05768 (which is trained)",
     "4 d (near keys + tiles) a query",
     "cross-attention, causal attention, fewer than 2 tiles, tiles of more than 64 tokens"},
    kArgs,
    {.fixed = true, .rest = false, .always = SelectorTraits::StandIn::kEachTile},
    NearTiles};

}  // namespace fovea
