// Where a ray meets each of the five shapes.
#pragma once

#include "tools/scenes/scene.h"

namespace fovea::scenes {

struct Hit {
  float distance = 0;
  Vec3 normal;
};

// Radius of a sphere around the object's centre that holds all of it.
float BoundingRadius(const Object& object);
// Height of the centre above the table when the object, turned as it is, stands on it.
float RestHeight(const Object& object);

// The nearest hit closer than `limit` and in front of the origin.
bool Intersect(const Object& object, const Ray& ray, float limit, Hit* hit);
// Which of the straight ways from `from` to each of `count` <= 32 points the object blocks, a bit
// each. The points must lie outside the object; light sources do.
unsigned BlockedWays(const Object& object, Vec3 from, const Vec3* points, int count);

}  // namespace fovea::scenes
