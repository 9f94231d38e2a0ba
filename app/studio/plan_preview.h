// The tile map of one operator at one site, as a picture for people.
#pragma once

#include "ui/snapshot.h"

namespace fovea {

// `op` as in a plan: "clear(r=4)". A refusal or an error of parsing becomes the view's `refusal`.
TileMapView DescribeTileMap(const std::string& op, const SiteView& site);

}  // namespace fovea
