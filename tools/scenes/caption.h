// Sentences that are true of a scene, in varied wording and a small closed vocabulary.
#pragma once

#include <string>
#include <vector>

#include "tools/scenes/scene.h"

namespace fovea::scenes {

// Four to eight distinct captions; the first names every attribute.
std::vector<std::string> MakeCaptions(const Scene& scene);

// Every word that captions can contain, sorted.
const std::vector<std::string>& Vocabulary();

}  // namespace fovea::scenes
