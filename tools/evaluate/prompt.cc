// Attributes collect until a shape's name completes an object; the first side word after it tells
// how it stands to the next.
#include "tools/evaluate/prompt.h"

#include <cctype>
#include <stdexcept>

namespace fovea::evaluate {

using scenes::Color;
using scenes::Name;
using scenes::Relation;
using scenes::Shape;

Prompt ReadPrompt(const std::string& text) {
  Prompt prompt;
  int color = -1, count = 1;
  const auto take = [&](const std::string& word) {
    for (int i = 0; i < scenes::kColors; ++i) {
      if (word == Name(static_cast<Color>(i))) color = i;
    }
    if (word == "two") count = 2;
    if (word == "three") count = 3;
    if (prompt.wishes.size() == 1 && prompt.relation == Relation::kNone) {
      if (word == "left") prompt.relation = Relation::kLeft;
      if (word == "right") prompt.relation = Relation::kRight;
      if (word == "front") prompt.relation = Relation::kFront;
      if (word == "behind") prompt.relation = Relation::kBehind;
    }
    for (int i = 0; i < scenes::kShapes; ++i) {
      const std::string name = Name(static_cast<Shape>(i));
      if (word != name && word != name + "s" && !(name == "torus" && word == "tori")) continue;
      for (int k = 0; k < count; ++k) prompt.wishes.push_back({static_cast<Shape>(i), color});
      color = -1;
      count = 1;
    }
  };
  std::string word;
  for (const char c : text + " ") {
    if (std::isalpha(static_cast<unsigned char>(c))) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!word.empty()) {
      take(word);
      word.clear();
    }
  }
  if (prompt.wishes.empty()) {
    throw std::invalid_argument("prompt \"" + text +
                                "\": name a sphere, cube, cylinder, cone or torus");
  }
  // "a red cube on the left" of nothing is no relation.
  if (prompt.wishes.size() != 2) prompt.relation = Relation::kNone;
  return prompt;
}

}  // namespace fovea::evaluate
