// Whether what a picture shows is what its prompt asked for.
#pragma once

#include <vector>

#include "tools/evaluate/observer.h"
#include "tools/evaluate/prompt.h"

namespace fovea::evaluate {

struct Verdict {
  // Each in its own right: `color` counts colours only, `shape` shapes only, `objects` both
  // together.
  bool count = false, color = false, shape = false, objects = false;
  bool relation = false;  // true if the prompt asks for none
  bool right = false;     // all of them
};

// How a stands to b; the clearer of the two axes decides.
scenes::Relation RelationOf(const Sighting& a, const Sighting& b);

Verdict Judge(const Prompt& prompt, const std::vector<Sighting>& sightings);

}  // namespace fovea::evaluate
