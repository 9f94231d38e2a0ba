// What a scene consists of, and how one is drawn at random from (seed, index).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tools/scenes/vec.h"

namespace fovea::scenes {

enum class Shape { kSphere, kCube, kCylinder, kCone, kTorus };
enum class Color { kRed, kGreen, kBlue, kYellow, kPurple, kCyan, kOrange, kWhite };
enum class Material { kMatte, kMetal };
enum class Size { kSmall, kLarge };
// Of the first object relative to the second.
enum class Relation { kNone, kLeft, kRight, kFront, kBehind };

inline constexpr int kShapes = 5;
inline constexpr int kColors = 8;
inline constexpr int kMaxObjects = 3;

const char* Name(Shape shape);
const char* Name(Color color);
const char* Name(Material material);
const char* Name(Size size);
const char* Name(Relation relation);

struct Object {
  Shape shape = Shape::kSphere;
  Color color = Color::kRed;
  Material material = Material::kMatte;
  Size size = Size::kLarge;
  float radius = 1;  // of the bounding sphere's order; shapes derive their own extents from it
  Vec3 center;
  // Local frame: world vectors of the shape's own x, y and z (its axis).
  Vec3 axis_x{1, 0, 0}, axis_y{0, 1, 0}, axis_z{0, 0, 1};
};

// World: z up, the table is z = 0, x to the right and y away from the camera.
struct Camera {
  Vec3 position, right, up, forward;
  float focal = 1;  // distance of the picture plane
  // The frame on that plane; its shorter side is 1, so a square one spans [-1, 1].
  float half_width = 1, half_height = 1;
};

struct Light {
  Vec3 center, tangent, bitangent;
  float radius = 1;
  Vec3 power;
};

struct Scene {
  uint64_t seed = 0, index = 0;
  std::vector<Object> objects;
  Relation relation = Relation::kNone;
  bool identical = false;  // all objects share shape, colour, material and size
  Camera camera;
  Light light;
  Vec3 table_color, wall_color, ambient;
  float table_gloss = 0;
  Vec3 wall_normal;
  float wall_offset = 0;  // points p of the wall: Dot(p, wall_normal) = wall_offset
};

// Shares of pictures with one, two and three objects; any scale.
struct SceneMix {
  std::array<float, kMaxObjects> share{1, 0, 0};
};

// "single", "early", "full" or three numbers "P1,P2,P3"; throws std::invalid_argument.
SceneMix ParseMix(const std::string& text);

// Depends on nothing but the arguments. `aspect` is width over height of the frame; the objects
// keep their size beside its shorter side and spread along the longer one.
Scene SampleScene(uint64_t seed, uint64_t index, const SceneMix& mix, float aspect = 1);

// Linear-light surface colour of an object.
Vec3 Albedo(Color color);

// Ray through the point (u, v) of the picture plane, u to the right and v down.
inline Ray CameraRay(const Camera& camera, float u, float v) {
  return {camera.position,
          Normalized(camera.forward * camera.focal + camera.right * u - camera.up * v)};
}

}  // namespace fovea::scenes
