// Where objects stand so that they fill the frame, stay visible and relate unambiguously.
#pragma once

#include "tools/scenes/rng.h"
#include "tools/scenes/scene.h"

namespace fovea::scenes {

// Places scene->objects on the table in front of scene->camera. False if no place was found within
// a fixed number of tries; the caller then draws other objects.
bool PlaceObjects(Rng* rng, Scene* scene);

}  // namespace fovea::scenes
