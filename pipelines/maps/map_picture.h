// Maps as pictures: colours, overlays on the picture that they belong to, legends, contact sheets.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "pipelines/maps/heat_map.h"
#include "pipelines/pictures/image.h"

namespace fovea {

// Of Matplotlib, which are even to the eye (Smith & van der Walt 2015), and ColorBrewer's RdBu for
// differences.
enum class ColorScale : uint8_t { kInferno, kViridis, kRedBlue };
// value in [0, 1], clamped.
std::array<uint8_t, 3> ColorOf(ColorScale scale, double value);

struct MapPicture {
  double low = 0, high = 1;  // values of the ends of the scale
  ColorScale scale = ColorScale::kInferno;
  bool smooth = false;  // bicubic, else the cells as they are
  bool labels = false;  // values are numbers of segments, shown in colours of their own
  std::string title, note;
  std::array<double, 2> mark{-1, -1};  // as AttentionMap's
};

// How a map is shown: from its own smallest to its largest value, signed ones symmetric about 0. A
// map that is nearly flat (largest below 1.2 times smallest) begins at 0, so that noise does not
// look like structure.
MapPicture ChoosePicture(const AttentionMap& map);

// The map over the darkened, greyed picture, its cells to the picture's size times a whole number
// so that small pictures are large enough to see; title above, scale with its ends beside it.
Image DrawMap(const Image& picture, const HeatMap& map, const MapPicture& how);
// The map alone over the picture, without title and scale.
Image DrawOverlay(const Image& picture, const HeatMap& map, const MapPicture& how);

// The picture as it is, with a title, in the size that DrawMap gives.
Image DrawPlain(const Image& picture, const std::string& title);

// Pictures in rows of `columns`, on one ground.
Image Sheet(const std::vector<Image>& pictures, int columns);

}  // namespace fovea
