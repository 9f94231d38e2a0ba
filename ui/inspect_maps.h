// From what the Inspect panel is asked to numbers and pictures: rows of a place, columns of a word.
#pragma once

#include "ui/inspect_state.h"

namespace fovea {

// What is shown over the picture, and the small multiples beside it: of the place, or of the word
// or the map that is chosen. Nothing is computed twice: *state keeps what is current.
void UpdateInspectMaps(const InspectView& view, InspectState* state);
// The maps of the pins, in one row of tiles.
void UpdatePinnedMaps(const InspectView& view, InspectState* state);

// The query of `layer` that covers a place.
int TokenAt(const InspectLayer& layer, InspectPlace place);
// A map brought to 0 to 1; `shared`: the largest value of all tiles.
std::vector<float> Scaled(const std::vector<float>& map, MapScale scale, float shared);
// Tiles of equal size side by side, a line of ground between them.
ImagePtr MakeSheet(const std::vector<std::vector<float>>& maps, int rows, int columns, int across,
                   MapScale scale, int colours);
constexpr int kTileGap = 1;  // cells

}  // namespace fovea
