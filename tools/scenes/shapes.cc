// Closed-form intersections for sphere, cube, cylinder and cone; sphere tracing for the torus,
// whose quartic is badly conditioned in single precision.
#include "tools/scenes/shapes.h"

#include <algorithm>

namespace fovea::scenes {
namespace {

// Extents as fractions of Object::radius, chosen so that all shapes look about equally big.
constexpr float kCubeHalf = 0.70f;
constexpr float kCylinderRadius = 0.70f, kCylinderHalf = 0.80f;
constexpr float kConeRadius = 0.90f, kConeHalf = 0.90f;
constexpr float kTorusMajor = 0.71f, kTorusMinor = 0.29f;
// Bounding spheres of the same: half diagonals, written out because they are asked for every ray.
constexpr float kCubeBound = 1.2125f, kCylinderBound = 1.0631f, kConeBound = 1.2728f;
constexpr float kNear = 1e-3f;

// Distances at which the ray enters and leaves the bounding sphere.
bool ClipToBound(const Object& object, const Ray& ray, float radius, float* enter, float* leave) {
  const Vec3 to = object.center - ray.origin;
  const float along = Dot(to, ray.direction);
  const float gap = Dot(to, to) - along * along;
  const float square = radius * radius - gap;
  if (square <= 0) return false;
  const float half = std::sqrt(square);
  *enter = along - half;
  *leave = along + half;
  return *leave > kNear;
}

Ray ToLocal(const Object& o, const Ray& ray) {
  const Vec3 p = ray.origin - o.center, d = ray.direction;
  return {{Dot(p, o.axis_x), Dot(p, o.axis_y), Dot(p, o.axis_z)},
          {Dot(d, o.axis_x), Dot(d, o.axis_y), Dot(d, o.axis_z)}};
}

Vec3 ToWorld(const Object& o, Vec3 v) { return o.axis_x * v.x + o.axis_y * v.y + o.axis_z * v.z; }

bool HitCube(const Ray& r, float half, Hit* hit) {
  const float origin[3] = {r.origin.x, r.origin.y, r.origin.z};
  const float direction[3] = {r.direction.x, r.direction.y, r.direction.z};
  float enter = -1e30f, leave = 1e30f;
  int axis = 0;
  for (int i = 0; i < 3; ++i) {
    const float inverse = 1.0f / direction[i];
    float a = (-half - origin[i]) * inverse, b = (half - origin[i]) * inverse;
    if (a > b) std::swap(a, b);
    if (a > enter) enter = a, axis = i;
    leave = std::min(leave, b);
  }
  if (enter >= leave || enter < kNear) return false;
  hit->distance = enter;
  const float side = direction[axis] > 0 ? -1.0f : 1.0f;
  hit->normal = {axis == 0 ? side : 0, axis == 1 ? side : 0, axis == 2 ? side : 0};
  return true;
}

// Cylinder (slope 0) and cone: x^2 + y^2 = (base - slope * (z + half))^2 for |z| <= half.
bool HitTapered(const Ray& r, float base, float half, float slope, Hit* hit) {
  const Vec3 o = r.origin, d = r.direction;
  const float width = base - slope * (o.z + half);
  const float a = d.x * d.x + d.y * d.y - slope * slope * d.z * d.z;
  const float b = o.x * d.x + o.y * d.y + slope * d.z * width;
  const float c = o.x * o.x + o.y * o.y - width * width;
  float best = 1e30f;
  const float square = b * b - a * c;
  if (square > 0 && std::fabs(a) > 1e-9f) {
    const float root = std::sqrt(square);
    for (const float t : {(-b - root) / a, (-b + root) / a}) {
      const float z = o.z + t * d.z;
      if (t > kNear && t < best && std::fabs(z) <= half) best = t;
    }
    if (best < 1e30f) {
      const float x = o.x + best * d.x, y = o.y + best * d.y;
      const float radial = std::sqrt(x * x + y * y) + 1e-9f;
      hit->normal = Normalized({x / radial, y / radial, slope});
    }
  }
  for (const float side : {-1.0f, 1.0f}) {
    const float cap = side < 0 ? base : base - 2.0f * slope * half;
    const float t = (side * half - o.z) / d.z;
    const float x = o.x + t * d.x, y = o.y + t * d.y;
    if (t > kNear && t < best && x * x + y * y < cap * cap) {
      best = t;
      hit->normal = {0, 0, side};
    }
  }
  hit->distance = best;
  return best < 1e30f;
}

bool HitTorus(const Ray& r, float major, float minor, float enter, float leave, Hit* hit) {
  float t = std::max(enter, kNear);
  for (int step = 0; step < 64 && t < leave; ++step) {
    const Vec3 p = r.origin + r.direction * t;
    const float ring = std::sqrt(p.x * p.x + p.y * p.y);
    const float off = ring - major;
    const float length = std::sqrt(off * off + p.z * p.z);
    const float distance = length - minor;
    if (distance < 4e-4f) {
      const float scale = off / (ring * length);
      hit->distance = t;
      hit->normal = {p.x * scale, p.y * scale, p.z / length};
      return true;
    }
    t += distance;
  }
  return false;
}

}  // namespace

float BoundingRadius(const Object& o) {
  switch (o.shape) {
    case Shape::kCube: return o.radius * kCubeBound;
    case Shape::kCylinder: return o.radius * kCylinderBound;
    case Shape::kCone: return o.radius * kConeBound;
    default: return o.radius;
  }
}

float RestHeight(const Object& o) {
  switch (o.shape) {
    case Shape::kCube: return o.radius * kCubeHalf;
    case Shape::kCylinder: return o.radius * kCylinderHalf;
    case Shape::kCone: return o.radius * kConeHalf;
    case Shape::kTorus: {
      const float sine = std::sqrt(std::max(0.0f, 1.0f - o.axis_z.z * o.axis_z.z));
      return o.radius * (kTorusMajor * sine + kTorusMinor);
    }
    default: return o.radius;
  }
}

bool Intersect(const Object& object, const Ray& ray, float limit, Hit* hit) {
  float enter, leave;
  if (!ClipToBound(object, ray, BoundingRadius(object), &enter, &leave) || enter >= limit) {
    return false;
  }
  if (object.shape == Shape::kSphere) {
    if (enter < kNear) return false;
    hit->distance = enter;
    hit->normal = (ray.origin + ray.direction * enter - object.center) * (1.0f / object.radius);
    return true;
  }
  const Ray local = ToLocal(object, ray);
  const float r = object.radius;
  bool found = false;
  switch (object.shape) {
    case Shape::kCube: found = HitCube(local, r * kCubeHalf, hit); break;
    case Shape::kCylinder:
      found = HitTapered(local, r * kCylinderRadius, r * kCylinderHalf, 0, hit);
      break;
    case Shape::kCone:
      found = HitTapered(local, r * kConeRadius, r * kConeHalf,
                         kConeRadius / (2.0f * kConeHalf), hit);
      break;
    default:
      found = HitTorus(local, r * kTorusMajor, r * kTorusMinor, enter, leave, hit);
  }
  if (!found || hit->distance >= limit) return false;
  hit->normal = ToWorld(object, hit->normal);
  return true;
}

bool Blocks(const Object& object, const Ray& ray, float limit) {
  Hit hit;
  return Intersect(object, ray, limit, &hit);
}

}  // namespace fovea::scenes
