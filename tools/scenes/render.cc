// One sample a pixel, then 3x3 where neighbours differ: the rest would not change visibly.
#include "tools/scenes/render.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "tools/scenes/shading.h"

namespace fovea::scenes {
namespace {

constexpr int kSide = 3;
constexpr int kCenterGroup = 4;
constexpr float kContrast = 0.012f;  // of display values: about three steps of 255

// Linear up to 0.62, then a soft shoulder instead of clipping.
float ToneCurve(float x) {
  constexpr float kKnee = 0.62f, kRest = 1.0f - kKnee;
  return x <= kKnee ? std::max(x, 0.0f) : kKnee + kRest * (1.0f - std::exp((kKnee - x) / kRest));
}

float Encode(float linear) {
  return linear <= 0.0031308f ? 12.92f * linear : 1.055f * std::pow(linear, 1.0f / 2.4f) - 0.055f;
}

// pow() a sample would dominate the run time; 4096 steps are finer than 8 bits even at black when
// indexed by the square root.
class DisplayTable {
 public:
  DisplayTable() {
    for (int i = 0; i <= kSteps; ++i) {
      const float root = static_cast<float>(i) / kSteps;
      values_[i] = Encode(root * root);
    }
  }
  float operator()(float linear) const {
    const float root = std::sqrt(std::clamp(linear, 0.0f, 1.0f));
    return values_[static_cast<int>(root * kSteps + 0.5f)];
  }

 private:
  static constexpr int kSteps = 4096;
  std::array<float, kSteps + 1> values_;
};

Vec3 Toned(Vec3 c) {
  return {ToneCurve(c.x), ToneCurve(c.y), ToneCurve(c.z)};
}

bool Differ(Vec3 a, Vec3 b) {
  return std::fabs(a.x - b.x) > kContrast || std::fabs(a.y - b.y) > kContrast ||
         std::fabs(a.z - b.z) > kContrast;
}

struct First {
  Vec3 linear, display;
  int object;
};

void Measure(const Scene& scene, const std::vector<int>& covered, Picture* picture) {
  const int width = picture->width, height = picture->height;
  const int count = static_cast<int>(scene.objects.size());
  picture->traces.assign(count, {});
  std::vector<double> sum_x(count), sum_y(count);
  for (Trace& trace : picture->traces) trace.box = {width, height, 0, 0};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const int id = picture->mask[static_cast<size_t>(y) * width + x];
      if (id == 0) continue;
      Trace& trace = picture->traces[id - 1];
      trace.box = {std::min(trace.box[0], x), std::min(trace.box[1], y),
                   std::max(trace.box[2], x + 1), std::max(trace.box[3], y + 1)};
      sum_x[id - 1] += x + 0.5;
      sum_y[id - 1] += y + 0.5;
      ++trace.pixels;
    }
  }
  for (int i = 0; i < count; ++i) {
    Trace& trace = picture->traces[i];
    if (trace.pixels == 0) trace.box = {0, 0, 0, 0};
    trace.center_x = static_cast<float>(sum_x[i] / std::max(trace.pixels, 1));
    trace.center_y = static_cast<float>(sum_y[i] / std::max(trace.pixels, 1));
    trace.depth = Dot(scene.objects[i].center - scene.camera.position, scene.camera.forward);
    // The majority rule may add a pixel at an edge, hence the minimum.
    trace.visible = std::min(1.0f, trace.pixels / static_cast<float>(std::max(covered[i], 1)));
  }
}

}  // namespace

Picture RenderScene(const Scene& scene, int width, int height) {
  static const DisplayTable display;
  const Shader shader(scene);
  const size_t pixels = static_cast<size_t>(width) * height;
  Picture picture{
      width, height, std::vector<uint8_t>(pixels * 3), std::vector<uint8_t>(pixels), {}};
  std::vector<First> first(pixels);
  std::vector<int> covered(scene.objects.size());
  const float scale = 2.0f / static_cast<float>(std::min(width, height));
  const float left = 0.5f * scale * width, top = 0.5f * scale * height;
  const auto ray = [&](int x, int y, float dx, float dy) {
    return CameraRay(scene.camera, scale * (x + dx) - left, scale * (y + dy) - top);
  };
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      unsigned on_ray = 0;
      const Sample sample = shader.Trace(ray(x, y, 0.5f, 0.5f), kCenterGroup, &on_ray);
      const Vec3 toned = Toned(sample.color);
      first[static_cast<size_t>(y) * width + x] = {
          toned, {display(toned.x), display(toned.y), display(toned.z)}, sample.object};
      for (; on_ray; on_ray &= on_ray - 1) ++covered[std::countr_zero(on_ray)];
    }
  }
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const size_t at = static_cast<size_t>(y) * width + x;
      bool refine = false;
      for (int v = std::max(y - 1, 0); v <= std::min(y + 1, height - 1) && !refine; ++v) {
        for (int u = std::max(x - 1, 0); u <= std::min(x + 1, width - 1) && !refine; ++u) {
          const First& other = first[static_cast<size_t>(v) * width + u];
          refine = other.object != first[at].object || Differ(other.display, first[at].display);
        }
      }
      Vec3 color = first[at].display;
      int id = first[at].object;
      if (refine) {
        Vec3 sum = first[at].linear;
        std::array<int, kMaxObjects + 1> votes{};
        ++votes[id];
        for (int k = 0; k < kSide * kSide; ++k) {
          if (k == kCenterGroup) continue;
          const float dx = (k % kSide + 0.5f) / kSide, dy = (k / kSide + 0.5f) / kSide;
          const Sample sample = shader.Trace(ray(x, y, dx, dy), k);
          // Averaging after the shoulder keeps the edges of highlights smooth.
          sum = sum + Toned(sample.color);
          ++votes[sample.object];
        }
        sum = sum * (1.0f / (kSide * kSide));
        color = {display(sum.x), display(sum.y), display(sum.z)};
        id = static_cast<int>(std::max_element(votes.begin(), votes.end()) - votes.begin());
      }
      picture.rgb[at * 3 + 0] = static_cast<uint8_t>(color.x * 255.0f + 0.5f);
      picture.rgb[at * 3 + 1] = static_cast<uint8_t>(color.y * 255.0f + 0.5f);
      picture.rgb[at * 3 + 2] = static_cast<uint8_t>(color.z * 255.0f + 0.5f);
      picture.mask[at] = static_cast<uint8_t>(id);
    }
  }
  Measure(scene, covered, &picture);
  return picture;
}

}  // namespace fovea::scenes
