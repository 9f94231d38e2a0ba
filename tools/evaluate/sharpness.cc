// Walks along the normal of each outline and looks at the colours it meets.
#include "tools/evaluate/sharpness.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "tools/scenes/render.h"

namespace fovea::evaluate {
namespace {

// Of a picture whose shorter side is kShortSide: how far inside and outside begin and end.
constexpr float kNear = 3, kFar = 6;
constexpr int kStepsAPixel = 2;
constexpr float kLeastContrast = 0.15f;  // of colours in [0, 1]

cv::Vec3f ColorAt(const cv::Mat& picture, cv::Point2f at) {
  const int x = static_cast<int>(std::floor(at.x)), y = static_cast<int>(std::floor(at.y));
  const float u = at.x - x, v = at.y - y;
  const auto pixel = [&](int dx, int dy) { return picture.at<cv::Vec3f>(y + dy, x + dx); };
  return (pixel(0, 0) * (1 - u) + pixel(1, 0) * u) * (1 - v) +
         (pixel(0, 1) * (1 - u) + pixel(1, 1) * u) * v;
}

// The share that the steepest step has, or a negative number where the colours hardly differ.
float SteepestStep(const std::vector<cv::Vec3f>& colors, float near, float far) {
  const auto mean = [&](float from, float to) {
    const int middle = static_cast<int>(colors.size()) / 2;
    cv::Vec3f sum;
    int count = 0;
    for (int i = static_cast<int>(std::ceil(from * kStepsAPixel)); i <= to * kStepsAPixel; ++i) {
      sum += colors[middle + i];
      ++count;
    }
    return sum / count;
  };
  cv::Vec3f across = mean(near, far) - mean(-far, -near);
  const float contrast = static_cast<float>(cv::norm(across));
  if (contrast < kLeastContrast) return -1;
  across /= contrast * contrast;
  float steepest = 0;
  for (size_t i = kStepsAPixel; i < colors.size(); ++i) {
    steepest = std::max(steepest, across.dot(colors[i] - colors[i - kStepsAPixel]));
  }
  return steepest;
}

}  // namespace

float OutlineSharpness(const cv::Mat& picture, const std::vector<Sighting>& sightings) {
  cv::Mat colors;
  picture.convertTo(colors, CV_32FC3, 1.0 / 255);
  const float scale = static_cast<float>(std::min(picture.cols, picture.rows)) / kShortSide;
  const float near = kNear * scale, far = kFar * scale;
  const int reach = static_cast<int>(std::ceil(far * kStepsAPixel));
  std::vector<float> steps;
  for (const Sighting& sighting : sightings) {
    cv::Mat inside, soft, dx, dy;
    sighting.mask.convertTo(inside, CV_32F);
    cv::resize(inside, inside, picture.size(), 0, 0, cv::INTER_LINEAR);
    cv::GaussianBlur(inside, soft, {0, 0}, 1.5 * scale);
    cv::Sobel(soft, dx, CV_32F, 1, 0);
    cv::Sobel(soft, dy, CV_32F, 0, 1);
    for (int y = 1; y < picture.rows; ++y) {
      for (int x = 1; x < picture.cols; ++x) {
        const bool here = inside.at<float>(y, x) > 0.5f;
        if (here == (inside.at<float>(y, x - 1) > 0.5f) &&
            here == (inside.at<float>(y - 1, x) > 0.5f)) {
          continue;
        }
        cv::Point2f normal(dx.at<float>(y, x), dy.at<float>(y, x));
        const float length = std::hypot(normal.x, normal.y);
        if (length < 1e-3f) continue;
        normal *= 1 / (length * kStepsAPixel);
        const cv::Point2f middle(static_cast<float>(x), static_cast<float>(y));
        const cv::Point2f ends[] = {middle - normal * reach, middle + normal * reach};
        if (std::any_of(std::begin(ends), std::end(ends), [&](cv::Point2f p) {
              return p.x < 0 || p.y < 0 || p.x >= picture.cols - 1.0f || p.y >= picture.rows - 1.0f;
            })) {
          continue;
        }
        std::vector<cv::Vec3f> met;
        for (int i = -reach; i <= reach; ++i) met.push_back(ColorAt(colors, middle + normal * i));
        const float step = SteepestStep(met, near, far);
        if (step >= 0) steps.push_back(step);
      }
    }
  }
  if (steps.empty()) return -1;
  std::nth_element(steps.begin(), steps.begin() + steps.size() / 2, steps.end());
  return steps[steps.size() / 2];
}

Renderings MeasureRenderings(const Observer& observer, int width, int height, int scenes) {
  constexpr uint64_t kSeed = 0x73686172706E6573ull;
  const float aspect = static_cast<float>(width) / static_cast<float>(height);
  Renderings result;
  int measured = 0, objects = 0, pieces = 0;
  for (int i = 0; i < scenes; ++i) {
    const auto scene = scenes::SampleScene(kSeed, i, scenes::ParseMix("50,50,0"), aspect);
    scenes::Picture rendered = scenes::RenderScene(scene, width, height);
    const cv::Mat picture(height, width, CV_8UC3, rendered.rgb.data());
    const Observation seen = observer.Observe(picture);
    objects += static_cast<int>(scene.objects.size());
    pieces += seen.pieces;
    const float sharpness = OutlineSharpness(picture, seen.sightings);
    if (sharpness < 0) continue;
    result.sharpness += sharpness;
    ++measured;
  }
  if (measured) result.sharpness /= static_cast<float>(measured);
  if (objects) result.pieces = static_cast<float>(pieces) / static_cast<float>(objects);
  return result;
}

}  // namespace fovea::evaluate
