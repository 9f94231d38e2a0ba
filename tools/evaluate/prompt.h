// What a prompt asks to see, read from its words.
#pragma once

#include <string>
#include <vector>

#include "tools/scenes/scene.h"

namespace fovea::evaluate {

struct Wish {
  scenes::Shape shape = scenes::Shape::kSphere;
  int color = -1;  // scenes::Color, or -1 if none is named
};

struct Prompt {
  std::vector<Wish> wishes;  // one an object: "two red cubes" makes two
  // Of the first wish relative to the second.
  scenes::Relation relation = scenes::Relation::kNone;
};

// Words outside the vocabulary are passed over; throws std::invalid_argument if no shape is named.
Prompt ReadPrompt(const std::string& text);

}  // namespace fovea::evaluate
