// What light comes back along a ray: surfaces, soft shadows, ambient occlusion, one metal bounce.
#pragma once

#include "tools/scenes/scene.h"

namespace fovea::scenes {

inline constexpr int kLightGroups = 9;  // one for each of the 3x3 samples of a pixel
inline constexpr int kLightSamples = 8;

struct Sample {
  Vec3 color;      // linear light
  int object = 0;  // 0 for the surroundings, else 1-based
};

// Prepared once a picture: everything about the scene that does not depend on the ray.
class Shader {
 public:
  explicit Shader(const Scene& scene);

  // `group` selects the light samples. Every pixel uses the same nine groups at the same places,
  // which gives 72 shades of penumbra without noise. `covered`, if given, receives a bit for every
  // object on the ray, hidden or not.
  Sample Trace(const Ray& ray, int group, unsigned* covered = nullptr) const;

 private:
  struct Surface {
    Vec3 point, normal;
    int object = -1;  // -1 for the surroundings
    bool table = false;
  };

  bool FindSurface(const Ray& ray, int skip, Surface* surface, unsigned* covered) const;
  float LitShare(const Surface& surface, int group, int samples) const;
  float AmbientOpenness(const Surface& surface) const;
  Vec3 Diffuse(const Surface& surface, Vec3 albedo, int group, int samples) const;
  Vec3 Studio(Vec3 direction) const;
  Vec3 Reflection(const Surface& surface, Vec3 direction, int group) const;

  const Scene& scene_;
  Vec3 light_direction_;
  Vec3 light_points_[kLightGroups][kLightSamples];
  Vec3 albedo_[kMaxObjects];
  float bound_[kMaxObjects];
};

}  // namespace fovea::scenes
