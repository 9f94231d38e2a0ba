// Drawings of a tile map: what one query sees on the grid, and which tiles visit which.
#pragma once

#include "ui/frame.h"

namespace fovea {

// In a square of `side` at the cursor. Seen keys are filled, the query is outlined.
void DrawSeenKeys(Frame& frame, const TileMapView& map, float side);
// Rows are tiles of queries, columns tiles of keys: full, partial, skipped.
void DrawVisits(Frame& frame, const TileMapView& map, float side);

}  // namespace fovea
