// Near tiles exactly, all others together as one key: RazorAttention for heads that look near.
#include "attention/selectors/rules/near_tiles.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {{"ring", "1", "tiles that are near on each axis; 0: the own one alone"}};

}  // namespace

const SelectorEntry kRazor = {
    "razor",
    {"near tiles, and one key for all other tiles together",
     "Tang et al. 2024, RazorAttention, arXiv:2407.15891 (tiles are ours)",
     "4 d (near keys + 1) a query",
     "cross-attention, causal attention, fewer than 2 tiles, tiles of more than 64 tokens"},
    kArgs,
    {.fixed = true, .rest = false, .always = SelectorTraits::StandIn::kAllTiles},
    NearTiles};

}  // namespace fovea
