// Proposes positions for one, two or three objects and checks each proposal with a coarse grid of
// rays: inside the frame, and not hidden by more than a quarter.
#include "tools/scenes/layout.h"

#include <array>

#include "tools/scenes/shapes.h"

namespace fovea::scenes {
namespace {

constexpr int kTries = 60;
constexpr int kGrid = 44;
constexpr float kBeyond = 0.12f;      // the grid looks beyond the frame to notice cut objects
constexpr float kKeepFree = 0.035f;   // two pixels of 128 at every edge
constexpr float kMinVisible = 0.76f;  // coarse; leaves room above the promised 0.7

bool FitsFrame(const Scene& scene) {
  std::array<int, kMaxObjects> seen{}, whole{};
  const int n = static_cast<int>(scene.objects.size());
  const float half_width = scene.camera.half_width, half_height = scene.camera.half_height;
  const int columns = static_cast<int>(kGrid * half_width + 0.5f);
  const int rows = static_cast<int>(kGrid * half_height + 0.5f);
  for (int row = 0; row < rows; ++row) {
    for (int column = 0; column < columns; ++column) {
      const float u = (half_width + kBeyond) * (2.0f * (column + 0.5f) / columns - 1.0f);
      const float v = (half_height + kBeyond) * (2.0f * (row + 0.5f) / rows - 1.0f);
      const Ray ray = CameraRay(scene.camera, u, v);
      float nearest = 1e30f;
      int first = -1;
      for (int i = 0; i < n; ++i) {
        Hit hit;
        if (!Intersect(scene.objects[i], ray, 1e30f, &hit)) continue;
        if (std::fabs(u) > half_width - kKeepFree || std::fabs(v) > half_height - kKeepFree) {
          return false;
        }
        ++whole[i];
        if (hit.distance < nearest) nearest = hit.distance, first = i;
      }
      if (first >= 0) ++seen[first];
    }
  }
  for (int i = 0; i < n; ++i) {
    if (whole[i] == 0 || seen[i] < kMinVisible * whole[i]) return false;
  }
  return true;
}

// Tables carry solids, so bounding discs must not meet.
bool Apart(const Scene& scene) {
  for (size_t i = 0; i < scene.objects.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      const Object &a = scene.objects[i], &b = scene.objects[j];
      const float dx = a.center.x - b.center.x, dy = a.center.y - b.center.y;
      const float gap = a.radius + b.radius;
      if (dx * dx + dy * dy < gap * gap) return false;
    }
  }
  return true;
}

// How much further from the middle of the table objects may stand than in a square frame.
struct Room {
  float x, y;
};

Room SpareRoom(const Scene& scene) {
  const Camera& camera = scene.camera;
  // A step of 1 on the picture plane; a tall frame shows the table's depth, which is foreshortened.
  const float step = Length(camera.position) / camera.focal;
  return {0.7f * step * (camera.half_width - 1), 0.5f * step * (camera.half_height - 1)};
}

void ProposeSingle(Rng* rng, Scene* scene) {
  Object& object = scene->objects[0];
  const float reach = object.size == Size::kLarge ? 0.34f : 0.50f;
  const Room room = SpareRoom(*scene);
  object.center.x = rng->Uniform(-reach - room.x, reach + room.x);
  object.center.y = rng->Uniform(-reach - room.y, reach + room.y);
}

void ProposePair(Rng* rng, Scene* scene, bool sideways, bool swapped) {
  Object& a = scene->objects[0];
  Object& b = scene->objects[1];
  const float reach = a.radius + b.radius;
  float dx, dy;
  if (sideways) {
    dx = reach * rng->Uniform(1.03f, 1.28f + 0.3f * SpareRoom(*scene).x);
    dy = reach * rng->Uniform(-0.22f, 0.22f);
    if (swapped) dx = -dx;
  } else {
    dx = reach * rng->Uniform(0.20f, 0.60f) * (rng->Chance(0.5f) ? 1.0f : -1.0f);
    dy = reach * rng->Uniform(1.20f, 1.70f);
    if (swapped) dy = -dy;
  }
  const Room room = SpareRoom(*scene);
  const float middle_x = rng->Uniform(-0.15f - room.x, 0.15f + room.x);
  const float middle_y = rng->Uniform(-0.15f - room.y, 0.15f + room.y);
  a.center.x = middle_x - 0.5f * dx;
  a.center.y = middle_y - 0.5f * dy;
  b.center.x = middle_x + 0.5f * dx;
  b.center.y = middle_y + 0.5f * dy;
}

void ProposeTriple(Rng* rng, Scene* scene) {
  const float start = rng->Uniform(0.0f, 6.2832f);
  const Room room = SpareRoom(*scene);
  const float width = rng->Uniform(0.85f, 1.20f + room.x), depth = rng->Uniform(0.75f, 1.45f);
  for (int i = 0; i < 3; ++i) {
    const float angle = start + 2.0944f * i + rng->Uniform(-0.3f, 0.3f);
    scene->objects[i].center.x = width * std::cos(angle) + rng->Uniform(-0.1f, 0.1f);
    scene->objects[i].center.y = depth * std::sin(angle) + rng->Uniform(-0.1f, 0.1f);
  }
}

}  // namespace

bool PlaceObjects(Rng* rng, Scene* scene) {
  const size_t count = scene->objects.size();
  const bool sideways = rng->Chance(0.6f), swapped = rng->Chance(0.5f);
  for (int attempt = 0; attempt < kTries; ++attempt) {
    if (count == 1) ProposeSingle(rng, scene);
    if (count == 2) ProposePair(rng, scene, sideways, swapped);
    if (count == 3) ProposeTriple(rng, scene);
    if (!Apart(*scene) || !FitsFrame(*scene)) continue;
    if (count == 2 && !scene->identical) {
      scene->relation = sideways ? (swapped ? Relation::kRight : Relation::kLeft)
                                 : (swapped ? Relation::kBehind : Relation::kFront);
    }
    return true;
  }
  return false;
}

}  // namespace fovea::scenes
