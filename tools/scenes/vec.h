// Three-component vectors and rays: the arithmetic every part of the renderer shares.
#pragma once

#include <cmath>

namespace fovea::scenes {

struct Vec3 {
  float x = 0, y = 0, z = 0;
};

inline Vec3 operator+(Vec3 a, Vec3 b) {
  return {a.x + b.x, a.y + b.y, a.z + b.z};
}
inline Vec3 operator-(Vec3 a, Vec3 b) {
  return {a.x - b.x, a.y - b.y, a.z - b.z};
}
inline Vec3 operator-(Vec3 a) {
  return {-a.x, -a.y, -a.z};
}
inline Vec3 operator*(Vec3 a, Vec3 b) {
  return {a.x * b.x, a.y * b.y, a.z * b.z};
}
inline Vec3 operator*(Vec3 a, float s) {
  return {a.x * s, a.y * s, a.z * s};
}
inline Vec3 operator*(float s, Vec3 a) {
  return a * s;
}
inline float Dot(Vec3 a, Vec3 b) {
  return a.x * b.x + a.y * b.y + a.z * b.z;
}
inline Vec3 Cross(Vec3 a, Vec3 b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}
inline float Length(Vec3 a) {
  return std::sqrt(Dot(a, a));
}
inline Vec3 Normalized(Vec3 a) {
  return a * (1.0f / Length(a));
}
inline Vec3 Mix(Vec3 a, Vec3 b, float t) {
  return a * (1.0f - t) + b * t;
}
inline float SmoothStep(float low, float high, float x) {
  float t = (x - low) / (high - low);
  t = t < 0 ? 0 : (t > 1 ? 1 : t);
  return t * t * (3.0f - 2.0f * t);
}

struct Ray {
  Vec3 origin;
  Vec3 direction;  // unit length
};

}  // namespace fovea::scenes
