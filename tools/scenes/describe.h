// The line of scenes.jsonl that tells what a picture shows.
#pragma once

#include <string>

#include "tools/scenes/render.h"

namespace fovea::scenes {

// One JSON object without a line end.
std::string DescribeScene(const Scene& scene, const Picture& picture);

}  // namespace fovea::scenes
