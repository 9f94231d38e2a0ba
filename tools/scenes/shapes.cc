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

Vec3 VecToLocal(const Object& o, Vec3 v) {
  return {Dot(v, o.axis_x), Dot(v, o.axis_y), Dot(v, o.axis_z)};
}

Ray ToLocal(const Object& o, const Ray& ray) {
  return {VecToLocal(o, ray.origin - o.center), VecToLocal(o, ray.direction)};
}

Vec3 ToWorld(const Object& o, Vec3 v) {
  return o.axis_x * v.x + o.axis_y * v.y + o.axis_z * v.z;
}

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

// For shadows: like HitCube from outside, without the normal and for directions of any length.
bool CrossesCube(const Ray& r, float half) {
  const Vec3 inverse{1.0f / r.direction.x, 1.0f / r.direction.y, 1.0f / r.direction.z};
  const float ax = (-half - r.origin.x) * inverse.x, bx = (half - r.origin.x) * inverse.x;
  const float ay = (-half - r.origin.y) * inverse.y, by = (half - r.origin.y) * inverse.y;
  const float az = (-half - r.origin.z) * inverse.z, bz = (half - r.origin.z) * inverse.z;
  const float enter = std::max(std::max(std::min(ax, bx), std::min(ay, by)), std::min(az, bz));
  const float leave = std::min(std::min(std::max(ax, bx), std::max(ay, by)), std::max(az, bz));
  return enter < leave && leave > 0;
}

// Likewise for HitTapered. Inside the slab |z| <= half the solid is where the quadratic is
// negative; the slab also excludes the cone's mirror image above its tip.
bool CrossesTapered(const Ray& r, float base, float half, float slope) {
  const Vec3 o = r.origin, d = r.direction;
  const float inverse = 1.0f / d.z;
  const float low = (-half - o.z) * inverse, high = (half - o.z) * inverse;
  const float enter = std::max(std::min(low, high), 0.0f), leave = std::max(low, high);
  if (enter >= leave) return false;
  const float width = base - slope * (o.z + half);
  const float a = d.x * d.x + d.y * d.y - slope * slope * d.z * d.z;
  const float b = o.x * d.x + o.y * d.y + slope * d.z * width;
  const float c = o.x * o.x + o.y * o.y - width * width;
  const auto value = [&](float t) { return (a * t + 2.0f * b) * t + c; };
  if (value(enter) < 0 || value(leave) < 0) return true;
  if (a <= 0) return false;  // concave: the ends are the lowest places
  const float lowest = -b / a;
  return lowest > enter && lowest < leave && b * b > a * c;
}

// `least` is the smallest step: zero where the outline must be exact, more for shadows.
bool HitTorus(const Ray& r, float major, float minor, float enter, float leave, float least,
              Hit* hit) {
  // Only the slab |z| <= minor can hold a hit; most rays cross it quickly.
  const float inverse = 1.0f / r.direction.z;
  const float a = (-minor - r.origin.z) * inverse, b = (minor - r.origin.z) * inverse;
  float t = std::max(std::max(enter, kNear), std::min(a, b));
  leave = std::min(leave, std::max(a, b));
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
    t += std::max(distance, least);
  }
  return false;
}

}  // namespace

float BoundingRadius(const Object& o) {
  switch (o.shape) {
    case Shape::kCube:
      return o.radius * kCubeBound;
    case Shape::kCylinder:
      return o.radius * kCylinderBound;
    case Shape::kCone:
      return o.radius * kConeBound;
    default:
      return o.radius;
  }
}

float RestHeight(const Object& o) {
  switch (o.shape) {
    case Shape::kCube:
      return o.radius * kCubeHalf;
    case Shape::kCylinder:
      return o.radius * kCylinderHalf;
    case Shape::kCone:
      return o.radius * kConeHalf;
    case Shape::kTorus: {
      const float sine = std::sqrt(std::max(0.0f, 1.0f - o.axis_z.z * o.axis_z.z));
      return o.radius * (kTorusMajor * sine + kTorusMinor);
    }
    default:
      return o.radius;
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
    case Shape::kCube:
      found = HitCube(local, r * kCubeHalf, hit);
      break;
    case Shape::kCylinder:
      found = HitTapered(local, r * kCylinderRadius, r * kCylinderHalf, 0, hit);
      break;
    case Shape::kCone:
      found =
          HitTapered(local, r * kConeRadius, r * kConeHalf, kConeRadius / (2.0f * kConeHalf), hit);
      break;
    default:
      found = HitTorus(local, r * kTorusMajor, r * kTorusMinor, enter, leave, 0, hit);
  }
  if (!found || hit->distance >= limit) return false;
  hit->normal = ToWorld(object, hit->normal);
  return true;
}

unsigned BlockedWays(const Object& object, Vec3 from, const Vec3* points, int count) {
  unsigned blocked = 0;
  const float r = object.radius;
  const Vec3 offset = from - object.center;
  const float bound = BoundingRadius(object);
  const float outside = Dot(offset, offset) - bound * bound;
  const Vec3 origin = VecToLocal(object, offset);
  for (int i = 0; i < count; ++i) {
    // Not normalised: the point itself is at distance 1.
    const Vec3 way = points[i] - from;
    const float along = -Dot(offset, way), square = Dot(way, way);
    const float disc = along * along - square * outside;
    if (disc <= 0 || (along < 0 && outside > 0)) continue;
    bool hit = false;
    switch (object.shape) {
      case Shape::kSphere:
        hit = true;
        break;
      case Shape::kCube:
        hit = CrossesCube({origin, VecToLocal(object, way)}, r * kCubeHalf);
        break;
      case Shape::kCylinder:
      case Shape::kCone: {
        const bool cone = object.shape == Shape::kCone;
        hit = CrossesTapered(
            {origin, VecToLocal(object, way)}, r * (cone ? kConeRadius : kCylinderRadius),
            r * (cone ? kConeHalf : kCylinderHalf), cone ? kConeRadius / (2.0f * kConeHalf) : 0.0f);
        break;
      }
      case Shape::kTorus: {
        const float length = std::sqrt(square), root = std::sqrt(disc);
        Hit unused;
        hit = HitTorus({origin, VecToLocal(object, way) * (1.0f / length)}, r * kTorusMajor,
                       r * kTorusMinor, (along - root) / length, (along + root) / length, 0.02f,
                       &unused);
      }
    }
    blocked |= static_cast<unsigned>(hit) << i;
  }
  return blocked;
}

}  // namespace fovea::scenes
