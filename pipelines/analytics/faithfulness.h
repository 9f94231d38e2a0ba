// Whether a map shows what a picture is about: against exact masks, and against what the model's
// answer loses when pixels go.
//
//   pointing   the largest value (of equal ones the first) lies on the mask (Zhang et al. 2016)
//   mass       share of the map's weight on the mask
//   iou        of the mask and the map cut at its mean
//   deletion   area under p(right answer) while the most marked cells are set to the picture's mean
//              colour, first to last; lower is better (Petsiuk et al. 2018, arXiv:1806.07421)
//   insertion  the same while they are put back into the blurred picture; higher is better
// None of these says much alone (arXiv:2404.01415): the same is measured of a random map, of a
// Gaussian in the middle and of the picture's edges.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "pipelines/maps/heat_map.h"
#include "pipelines/pictures/image.h"

namespace fovea {

struct MapScores {
  double pointing = 0, mass = 0, iou = 0;
};
// The mask (white: on it) and the map are brought to the map's cells: a cell counts as on the mask
// by its share of white. Weights below 0 count as 0.
MapScores ScoreAgainstMask(const HeatMap& map, const Image& mask);

// The probability of the right answer for a changed picture.
using Answer = std::function<double(const Image&)>;
struct MapCurves {
  double deletion = 0, insertion = 0;
};
// In `steps` steps; 2 * (steps + 1) answers.
MapCurves ScoreByAnswer(const HeatMap& map, const Image& picture, int steps, const Answer& answer);

HeatMap RandomMap(int height, int width, uint64_t seed);
HeatMap CentreMap(int height, int width);
HeatMap EdgeMap(const Image& picture, int height, int width);  // Sobel, means of cells
// What the answer loses when one cell is covered by the mean colour: the occlusion map (Zeiler &
// Fergus 2014), what the others are measured against.
HeatMap OcclusionMap(const Image& picture, int height, int width, const Answer& answer);
// Spearman's rank correlation, equal values sharing their ranks.
double RankCorrelation(const HeatMap& a, const HeatMap& b);

}  // namespace fovea
