// Direct light from a disc, analytic ambient occlusion, and a studio that metal can mirror.
#include "tools/scenes/shading.h"

#include <algorithm>
#include <bit>

#include "tools/scenes/shapes.h"

namespace fovea::scenes {
namespace {

constexpr float kOffset = 2e-3f;  // start rays off the surface they leave

Vec3 Reflect(Vec3 direction, Vec3 normal) {
  return direction - normal * (2.0f * Dot(direction, normal));
}

}  // namespace

Shader::Shader(const Scene& scene) : scene_(scene) {
  const Light& light = scene.light;
  light_direction_ = Normalized(light.center);
  constexpr int kAll = kLightGroups * kLightSamples;
  for (int group = 0; group < kLightGroups; ++group) {
    for (int i = 0; i < kLightSamples; ++i) {
      // A sunflower disc; taking every ninth point spreads each group over the whole disc.
      const int n = group + kLightGroups * i;
      const float r = light.radius * std::sqrt((n + 0.5f) / kAll), angle = 2.3999632f * n;
      light_points_[group][i] = light.center + light.tangent * (r * std::cos(angle)) +
                                light.bitangent * (r * std::sin(angle));
    }
  }
  for (size_t i = 0; i < scene.objects.size(); ++i) {
    albedo_[i] = Albedo(scene.objects[i].color);
    bound_[i] = BoundingRadius(scene.objects[i]);
  }
}

bool Shader::FindSurface(const Ray& ray, int skip, Surface* surface, unsigned* covered) const {
  float nearest = 1e30f;
  Vec3 normal;
  surface->object = -1;
  if (ray.direction.z < 0) {
    nearest = -ray.origin.z / ray.direction.z;
    normal = {0, 0, 1};
    surface->table = true;
  }
  const float facing = Dot(ray.direction, scene_.wall_normal);
  if (facing < 0) {
    const float t = (scene_.wall_offset - Dot(ray.origin, scene_.wall_normal)) / facing;
    if (t > 0 && t < nearest) {
      nearest = t;
      normal = scene_.wall_normal;
      surface->table = false;
    }
  }
  for (int i = 0; i < static_cast<int>(scene_.objects.size()); ++i) {
    Hit hit;
    if (i == skip || !Intersect(scene_.objects[i], ray, covered ? 1e30f : nearest, &hit)) continue;
    if (covered) *covered |= 1u << i;
    if (hit.distance >= nearest) continue;
    nearest = hit.distance;
    normal = hit.normal;
    surface->object = i;
  }
  if (nearest >= 1e30f) return false;
  surface->point = ray.origin + ray.direction * nearest;
  surface->normal = normal;
  return true;
}

float Shader::LitShare(const Surface& surface, int group, int samples) const {
  const Vec3 from = surface.point + surface.normal * kOffset;
  // Objects off the cone towards the light cannot shade this point; of the others, only the torus
  // can shade itself where it faces the light.
  int blockers[kMaxObjects], count = 0;
  const Vec3 axis = scene_.light.center - from;
  const float length = Length(axis);
  const Vec3 direction = axis * (1.0f / length);
  for (int i = 0; i < static_cast<int>(scene_.objects.size()); ++i) {
    const Object& object = scene_.objects[i];
    if (i == surface.object && object.shape != Shape::kTorus) continue;
    const Vec3 to = object.center - from;
    const float along = Dot(to, direction);
    if (along < -bound_[i]) continue;
    const float gap = Length(to - direction * along);
    const float spread = scene_.light.radius * std::max(along + bound_[i], 0.0f) / length;
    if (gap < bound_[i] + spread) blockers[count++] = i;
  }
  if (count == 0) return 1.0f;
  unsigned blocked = 0;
  for (int b = 0; b < count; ++b) {
    blocked |= BlockedWays(scene_.objects[blockers[b]], from, light_points_[group], samples);
  }
  return 1.0f - static_cast<float>(std::popcount(blocked)) / samples;
}

float Shader::AmbientOpenness(const Surface& surface) const {
  float open = 1.0f;
  for (int i = 0; i < static_cast<int>(scene_.objects.size()); ++i) {
    if (i == surface.object) continue;
    const Object& object = scene_.objects[i];
    const Vec3 to = object.center - surface.point;
    const float square = Dot(to, to);
    // A sphere that touches the table where the object does stands in for it.
    const float r = std::min(object.center.z, object.radius * 0.95f);
    const float facing = Dot(surface.normal, to) / std::sqrt(square);
    if (facing <= 0) continue;
    open *= 1.0f - 0.9f * facing * std::min(1.0f, r * r / square);
  }
  if (surface.object >= 0) {
    const Object& object = scene_.objects[surface.object];
    // Near the table half of a side's surroundings is the object's own shade.
    const float down = 0.5f - 0.5f * surface.normal.z;
    const float height = surface.point.z / (0.6f * object.radius);
    open *= 1.0f - 0.75f * down * std::max(0.0f, 1.0f - height);
  } else {
    // The crease between table and wall.
    const float to_wall = Dot(surface.point, scene_.wall_normal) - scene_.wall_offset;
    const float away = surface.table ? to_wall : surface.point.z;
    open *= 1.0f - 0.28f * std::max(0.0f, 1.0f - away / 0.9f);
  }
  return open;
}

Vec3 Shader::Diffuse(const Surface& surface, Vec3 albedo, int group, int samples) const {
  Vec3 light;
  const float cosine = Dot(surface.normal, light_direction_);
  if (cosine > 0) light = scene_.light.power * (cosine * LitShare(surface, group, samples));
  const float up = 0.5f + 0.5f * surface.normal.z;
  const Vec3 sky = scene_.ambient * AmbientOpenness(surface);
  light = light + sky * Mix(scene_.table_color * 1.1f, {1, 1, 1}, up);
  return albedo * light;
}

// A light tent with a soft box where the key light is and a darker side behind the camera, which
// gives mirrors their contrast.
Vec3 Shader::Studio(Vec3 direction) const {
  const float base = 0.34f + 0.50f * SmoothStep(-0.1f, 0.95f, direction.z);
  const float box = SmoothStep(0.925f, 0.965f, Dot(direction, light_direction_));
  const float strip =
      0.35f *
      SmoothStep(0.80f, 0.95f,
                 Dot(direction, Vec3{-0.80f * (light_direction_.x > 0 ? 1 : -1), -0.45f, 0.40f}));
  return scene_.light.power * (base + strip + 2.4f * box);
}

Vec3 Shader::Reflection(const Surface& surface, Vec3 direction, int group) const {
  const Ray ray{surface.point + surface.normal * kOffset, direction};
  Surface other;
  if (!FindSurface(ray, surface.object, &other, nullptr)) return Studio(direction);
  if (other.object >= 0) return Diffuse(other, albedo_[other.object], group, 2);
  const Vec3 color = other.table ? scene_.table_color : scene_.wall_color;
  const Vec3 seen = Diffuse(other, color, group, kLightSamples);
  // The table is finite: far away its mirror image fades into the studio.
  const float far = Length(other.point - surface.point);
  return Mix(seen, Studio(direction), SmoothStep(3.0f, 9.0f, far));
}

Sample Shader::Trace(const Ray& ray, int group, unsigned* covered) const {
  Surface surface;
  if (!FindSurface(ray, -1, &surface, covered)) return {Studio(ray.direction), 0};
  const Vec3 mirrored = Reflect(ray.direction, surface.normal);
  const float facing = std::max(0.0f, -Dot(ray.direction, surface.normal));
  const float grazing = (1 - facing) * (1 - facing) * (1 - facing) * (1 - facing) * (1 - facing);
  if (surface.object < 0) {
    if (!surface.table) return {Diffuse(surface, scene_.wall_color, group, kLightSamples), 0};
    Vec3 color = Diffuse(surface, scene_.table_color, group, kLightSamples);
    if (scene_.table_gloss > 0) {
      const float share = scene_.table_gloss * (0.55f + 0.45f * grazing);
      color = Mix(color, Reflection(surface, mirrored, group), share);
    }
    return {color, 0};
  }
  const Vec3 albedo = albedo_[surface.object];
  Vec3 color = Diffuse(surface, albedo, group, kLightSamples);
  if (scene_.objects[surface.object].material == Material::kMetal) {
    const Vec3 tint = Mix(albedo, {1, 1, 1}, 0.06f + 0.5f * grazing);
    color = color * 0.30f + tint * Reflection(surface, mirrored, group) * 0.95f;
  } else {
    // A broad, faint sheen rounds the form without looking wet.
    const Vec3 half = Normalized(light_direction_ - ray.direction);
    const float gloss = std::max(0.0f, Dot(half, surface.normal));
    const float g4 = gloss * gloss * gloss * gloss, g16 = g4 * g4 * g4 * g4;
    color = color + scene_.light.power * (0.05f * g16);
  }
  return {color, surface.object + 1};
}

}  // namespace fovea::scenes
