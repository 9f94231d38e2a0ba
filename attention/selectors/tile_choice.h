// From bits to the kernel's lists, and what stands for the tiles that are left out.
#pragma once

#include <vector>

#include "attention/matrix/softmax_matrix.h"
#include "attention/selectors/selector.h"
#include "attention/tiles/tile_map.h"

namespace fovea {

using StandIn = SelectorTraits::StandIn;

// Extra keys after the sequence's own, of which a query tile sees those that stand for tiles it
// does not visit: kEachTile has one for each grid tile, kAllTiles one for each query tile. The map
// of one head. Text sees and is seen by all; text queries see no stand-ins.
TileMap MapOfBits(const TokenTiles& tiles, const TileBits& kept, StandIn stand_in);

// The same of single keys: a tile of which some keys are chosen is visited with a mask.
TileMap MapOfKeys(const TokenTiles& tiles, const KeyBits& kept);

// Which tokens each stand-in is the mean of, kept tiles of a fixed map left out for kAllTiles.
FoldedKeys StandInTokens(const TokenTiles& tiles, const TileBits& kept, StandIn stand_in);
// ln of how many tokens each stands for; 0 for one that stands for none and is never seen.
std::vector<float> StandInTerms(const FoldedKeys& folded);
// The means: x (b,t,heads,d) to out (b,stand-ins,heads,d), of x's dtype.
void FoldCpu(const Tensor& x, const FoldedKeys& folded, const Tensor& out);

}  // namespace fovea
