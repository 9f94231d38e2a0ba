// Draws objects, camera, light and backdrop of a scene from its random stream.
#include "tools/scenes/scene.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "tools/scenes/layout.h"
#include "tools/scenes/rng.h"
#include "tools/scenes/shapes.h"

namespace fovea::scenes {
namespace {

constexpr float kCameraDistance = 8.0f;
// Focal length for one, two and three objects: as close as the frame permits.
constexpr std::array<float, kMaxObjects> kFocal{6.25f, 4.95f, 4.25f};
constexpr float kLargeRadius = 0.75f;
constexpr float kSmallRadius = 0.46f;
constexpr float kSmallGroupRadius = 0.52f;  // in company small objects would get lost otherwise
constexpr float kIdenticalShare = 0.22f;
constexpr float kDegree = 0.01745329f;
constexpr int kRedraws = 40;

// Muted, so that an object's saturation always tells it from its surroundings.
constexpr Vec3 kTables[] = {{0.50f, 0.43f, 0.35f}, {0.42f, 0.43f, 0.45f}, {0.34f, 0.26f, 0.19f},
                            {0.30f, 0.35f, 0.39f}, {0.22f, 0.23f, 0.25f}, {0.39f, 0.42f, 0.35f}};
constexpr Vec3 kWalls[] = {{0.50f, 0.51f, 0.53f}, {0.55f, 0.50f, 0.43f}, {0.36f, 0.43f, 0.49f},
                           {0.41f, 0.46f, 0.39f}, {0.29f, 0.29f, 0.32f}, {0.50f, 0.42f, 0.41f}};

Object DrawObject(Rng* rng) {
  Object object;
  object.shape = static_cast<Shape>(rng->Below(kShapes));
  object.color = static_cast<Color>(rng->Below(kColors));
  object.material = rng->Chance(0.5f) ? Material::kMetal : Material::kMatte;
  object.size = rng->Chance(0.5f) ? Size::kLarge : Size::kSmall;
  return object;
}

void Pose(Rng* rng, bool alone, Object* object) {
  const float small = alone ? kSmallRadius : kSmallGroupRadius;
  object->radius =
      (object->size == Size::kLarge ? kLargeRadius : small) * rng->Uniform(0.97f, 1.03f);
  const float yaw = rng->Uniform(0.0f, 6.2832f);
  object->axis_x = {std::cos(yaw), std::sin(yaw), 0};
  object->axis_y = {-std::sin(yaw), std::cos(yaw), 0};
  object->axis_z = {0, 0, 1};
  if (object->shape == Shape::kTorus) {
    // Leans towards the camera, so that the hole always shows.
    const float lean = rng->Uniform(30.0f, 68.0f) * kDegree;
    const float turn = rng->Uniform(-38.0f, 38.0f) * kDegree;
    object->axis_z = {std::sin(lean) * std::sin(turn), -std::sin(lean) * std::cos(turn),
                      std::cos(lean)};
    object->axis_x = Normalized(Cross({0, 0, 1}, object->axis_z));
    object->axis_y = Cross(object->axis_z, object->axis_x);
  }
  object->center.z = RestHeight(*object);
}

void DrawObjects(Rng* rng, int count, Scene* scene) {
  scene->objects.clear();
  scene->identical = count > 1 && rng->Chance(kIdenticalShare);
  scene->relation = Relation::kNone;
  while (static_cast<int>(scene->objects.size()) < count) {
    Object object = DrawObject(rng);
    if (scene->identical && !scene->objects.empty()) object = scene->objects[0];
    // Objects that are not identical must differ in words that every caption says.
    const bool taken =
        !scene->identical &&
        std::any_of(scene->objects.begin(), scene->objects.end(), [&](const Object& other) {
          return other.shape == object.shape && other.color == object.color;
        });
    if (taken) continue;
    Pose(rng, count == 1, &object);
    scene->objects.push_back(object);
  }
}

void AimCamera(Rng* rng, Scene* scene) {
  const size_t count = scene->objects.size();
  float height = 0;
  for (const Object& object : scene->objects) height += object.center.z / count;
  const float elevation = rng->Uniform(22.0f, 31.0f) * kDegree;
  const Vec3 target{0, 0, height};
  Camera& camera = scene->camera;
  camera.forward = {0, std::cos(elevation), -std::sin(elevation)};
  camera.right = {1, 0, 0};
  camera.up = Cross(camera.right, camera.forward);
  camera.position = target - camera.forward * kCameraDistance;
  camera.focal = kFocal[count - 1] * rng->Uniform(0.98f, 1.02f);
}

void DrawSurroundings(Rng* rng, Scene* scene) {
  const auto jittered = [&](Vec3 color) {
    const float gain = rng->Uniform(0.92f, 1.08f);
    return color * gain;
  };
  scene->table_color = jittered(kTables[rng->Below(std::size(kTables))]);
  scene->wall_color = jittered(kWalls[rng->Below(std::size(kWalls))]);
  scene->table_gloss = rng->Chance(0.35f) ? rng->Uniform(0.10f, 0.22f) : 0.0f;

  float back = 0;
  for (const Object& o : scene->objects) back = std::max(back, o.center.y + BoundingRadius(o));
  const float turn = rng->Uniform(-10.0f, 10.0f) * kDegree;
  scene->wall_normal = {std::sin(turn), -std::cos(turn), 0};
  scene->wall_offset = -std::max(back + 0.6f, rng->Uniform(1.9f, 3.2f));

  const float side = rng->Chance(0.5f) ? 1.0f : -1.0f;
  const float azimuth = side * rng->Uniform(20.0f, 65.0f) * kDegree;
  const float elevation = rng->Uniform(46.0f, 62.0f) * kDegree;
  const Vec3 direction{std::sin(azimuth) * std::cos(elevation),
                       -std::cos(azimuth) * std::cos(elevation), std::sin(elevation)};
  Light& light = scene->light;
  light.center = direction * 7.0f;
  light.tangent = Normalized(Cross({0, 0, 1}, direction));
  light.bitangent = Cross(direction, light.tangent);
  light.radius = rng->Uniform(0.9f, 1.5f);
  const float warmth = rng->Uniform(-0.05f, 0.05f);
  light.power = Vec3{1.0f + warmth, 1.0f, 1.0f - warmth} * rng->Uniform(0.98f, 1.14f);
  scene->ambient =
      Vec3{1.0f - 0.5f * warmth, 1.0f, 1.0f + 0.5f * warmth} * rng->Uniform(0.40f, 0.50f);
}

int DrawCount(Rng* rng, const SceneMix& mix) {
  const float total = mix.share[0] + mix.share[1] + mix.share[2];
  const float pick = rng->Uniform() * total;
  if (pick < mix.share[0]) return 1;
  return pick < mix.share[0] + mix.share[1] ? 2 : 3;
}

}  // namespace

const char* Name(Shape shape) {
  static constexpr const char* kNames[] = {"sphere", "cube", "cylinder", "cone", "torus"};
  return kNames[static_cast<int>(shape)];
}

const char* Name(Color color) {
  static constexpr const char* kNames[] = {"red",    "green", "blue",   "yellow",
                                           "purple", "cyan",  "orange", "white"};
  return kNames[static_cast<int>(color)];
}

const char* Name(Material material) {
  return material == Material::kMetal ? "metal" : "matte";
}
const char* Name(Size size) {
  return size == Size::kLarge ? "large" : "small";
}

const char* Name(Relation relation) {
  static constexpr const char* kNames[] = {"none", "left", "right", "front", "behind"};
  return kNames[static_cast<int>(relation)];
}

Vec3 Albedo(Color color) {
  static constexpr Vec3 kAlbedo[] = {
      {0.74f, 0.025f, 0.03f}, {0.05f, 0.47f, 0.07f}, {0.035f, 0.11f, 0.74f}, {0.92f, 0.72f, 0.03f},
      {0.33f, 0.05f, 0.60f},  {0.04f, 0.62f, 0.68f}, {0.92f, 0.24f, 0.012f}, {0.90f, 0.90f, 0.90f}};
  return kAlbedo[static_cast<int>(color)];
}

SceneMix ParseMix(const std::string& text) {
  if (text == "single") return {{100, 0, 0}};
  if (text == "early") return {{60, 35, 5}};
  if (text == "full") return {{40, 45, 15}};
  SceneMix mix;
  const char* at = text.c_str();
  for (int i = 0; i < kMaxObjects; ++i) {
    char* end = nullptr;
    mix.share[i] = std::strtof(at, &end);
    const char separator = i + 1 < kMaxObjects ? ',' : '\0';
    if (end == at || *end != separator || !(mix.share[i] >= 0) || mix.share[i] > 1e6f) {
      throw std::invalid_argument("mix \"" + text +
                                  "\": use single, early, full or three numbers such as 40,45,15");
    }
    at = end + 1;
  }
  if (mix.share[0] + mix.share[1] + mix.share[2] <= 0) {
    throw std::invalid_argument("mix \"" + text + "\": at least one number must be above zero");
  }
  return mix;
}

Scene SampleScene(uint64_t seed, uint64_t index, const SceneMix& mix, float aspect) {
  Rng rng(seed, index);
  Scene scene;
  scene.camera.half_width = std::max(1.0f, aspect);
  scene.camera.half_height = std::max(1.0f, 1.0f / aspect);
  scene.seed = seed;
  scene.index = index;
  int count = DrawCount(&rng, mix);
  bool placed = false;
  for (int redraw = 0; !placed; ++redraw) {
    // Practically unreachable: a single object always finds its place.
    if (redraw == kRedraws) count = 1;
    DrawObjects(&rng, count, &scene);
    AimCamera(&rng, &scene);
    placed = PlaceObjects(&rng, &scene);
  }
  DrawSurroundings(&rng, &scene);
  return scene;
}

}  // namespace fovea::scenes
