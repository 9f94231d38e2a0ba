// How sharp the outlines of the objects in a picture are, and how sharp they are in renderings.
#pragma once

#include <opencv2/core.hpp>

#include "tools/evaluate/observer.h"

namespace fovea::evaluate {

// The steepest step of colour from one pixel to the next across an outline, as a share of the whole
// difference between inside and outside: 1 for an ideal edge, 0.25 for one four pixels wide. The
// median over all outlines, so that shadows and reflections hardly count. `picture` is 8-bit RGB at
// its own size. Negative if no outline has contrast enough.
float OutlineSharpness(const cv::Mat& picture, const std::vector<Sighting>& sightings);

struct Renderings {
  float sharpness = 0;  // mean over the pictures
  float pieces = 0;     // seen for each object
};

// What the observer measures on fresh scenes of one or two objects, rendered at this size.
Renderings MeasureRenderings(const Observer& observer, int width, int height, int scenes);

}  // namespace fovea::evaluate
