// First the pixel labels, then shapes on the segments that the finished pixel classifier yields, so
// that its slips are part of the lesson.
#include "tools/evaluate/training.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <opencv2/imgproc.hpp>
#include <thread>

#include "tools/evaluate/border_features.h"
#include "tools/evaluate/object_features.h"
#include "tools/scenes/render.h"
#include "tools/scenes/rng.h"

namespace fovea::evaluate {
namespace {

using scenes::Picture;
using scenes::Rng;
using scenes::Scene;

constexpr int kPixelsAScene = 220;
constexpr int kBordersAScene = 40, kInsideAScene = 90;
// Frames of the lessons, half of which are square ones of 128 pixels.
constexpr int kShortSides[] = {96, 128, 160, 192, 256};
constexpr float kAspects[] = {1, 1.5f, 2.0f / 3, 2, 0.5f};
constexpr int kPartsAColor = 6, kViewsAnObject = 2;
constexpr float kObjectShare = 0.5f;                        // of the pixels taken from a scene
constexpr float kSameObject = 0.75f, kOtherObject = 0.55f;  // overlap over union

struct Example {
  std::vector<float> features;  // rows
  std::vector<uint8_t> labels;

  // Room for one more row.
  float* Add(int width, uint8_t label) {
    features.resize(features.size() + width);
    labels.push_back(label);
    return &features[features.size() - width];
  }
};

int Pick(const std::vector<int>& from, Rng* rng) {
  return from[rng->Below(static_cast<int>(from.size()))];
}

struct Lesson {
  Scene scene;
  cv::Mat truth;    // 8-bit, 0 background, else 1-based object; canonical as `picture` is
  cv::Mat picture;  // as an Observer looks at it
  Rng rng;
};

struct Frame {
  int width = kShortSide, height = kShortSide;
};

Frame DrawFrame(Rng rng) {
  if (rng.Chance(0.5f)) return {};
  const int side = kShortSides[rng.Below(std::size(kShortSides))];
  const float aspect = kAspects[rng.Below(std::size(kAspects))];
  const auto longer = [side](float ratio) { return static_cast<int>(std::lround(side * ratio)); };
  return {longer(std::max(1.0f, aspect)), longer(std::max(1.0f, 1 / aspect))};
}

bool HasColorTwice(const Scene& scene) {
  for (size_t i = 0; i < scene.objects.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (scene.objects[i].color == scene.objects[j].color) return true;
    }
  }
  return false;
}

Lesson MakeLesson(const LessonPlan& plan, uint64_t index) {
  Rng rng(plan.seed + 1, index);
  // Every third scene has several objects of one colour, the hardest case.
  const bool alike = index % 3 == 0;
  const Frame frame = DrawFrame(Rng(plan.seed + 3, index));
  const float aspect = static_cast<float>(frame.width) / static_cast<float>(frame.height);
  Scene scene;
  for (uint64_t attempt = 0;; ++attempt) {
    scene = SampleScene(plan.seed + attempt, index, scenes::ParseMix("35,50,15"), aspect);
    if (!alike || HasColorTwice(scene)) break;
  }
  Picture rendered = RenderScene(scene, frame.width, frame.height);
  const cv::Mat sharp(frame.height, frame.width, CV_8UC3, rendered.rgb.data());
  Wear wear;
  if (rng.Chance(0.7f)) wear = {rng.Uniform(0, 1.6f), rng.Uniform(0, 7.0f)};
  const cv::Mat picture = Canonical(Worn(sharp, wear, plan.seed + 2, index));
  const cv::Mat mask(frame.height, frame.width, CV_8U, rendered.mask.data());
  cv::Mat truth;
  cv::resize(mask, truth, picture.size(), 0, 0, cv::INTER_NEAREST);
  if (truth.data == mask.data) truth = mask.clone();
  return {std::move(scene), truth, picture, rng};
}

int TrueObject(const Lesson& lesson, int x, int y) {
  x = std::clamp(x, 0, lesson.truth.cols - 1);
  y = std::clamp(y, 0, lesson.truth.rows - 1);
  return lesson.truth.at<uint8_t>(y, x);
}

// Whether another object of the same colour is within two pixels.
bool TrueBorder(const Lesson& lesson, int x, int y) {
  const int own = TrueObject(lesson, x, y);
  if (own == 0) return false;
  for (int v = y - 2; v <= y + 2; ++v) {
    for (int u = x - 2; u <= x + 2; ++u) {
      const int other = TrueObject(lesson, u, v);
      if (other && other != own &&
          lesson.scene.objects[other - 1].color == lesson.scene.objects[own - 1].color) {
        return true;
      }
    }
  }
  return false;
}

void TakePixels(const LessonPlan& plan, uint64_t index, Example* example) {
  Lesson lesson = MakeLesson(plan, index);
  const PixelFeatures features(lesson.picture);
  std::vector<int> objects, background;
  const int columns = features.Columns(), cells = columns * features.Rows();
  std::vector<uint8_t> labels(cells);
  for (int i = 0; i < cells; ++i) {
    const int object = TrueObject(lesson, i % columns * kStride, i / columns * kStride);
    labels[i] = object ? 1 + static_cast<uint8_t>(lesson.scene.objects[object - 1].color) : 0;
    if (object == 0) background.push_back(i);
    // White ones are the hardest to tell from the background: twice as many.
    const bool white = labels[i] == 1 + static_cast<int>(scenes::Color::kWhite);
    if (object) objects.insert(objects.end(), white ? 2 : 1, i);
  }
  for (int i = 0; i < kPixelsAScene; ++i) {
    const int cell = Pick(lesson.rng.Chance(kObjectShare) ? objects : background, &lesson.rng);
    features.At(cell % columns, cell / columns, example->Add(PixelFeatureCount(), labels[cell]));
  }
}

void TakeBorders(const LessonPlan& plan, const Perceptron& pixels, uint64_t index,
                 Example* example) {
  Lesson lesson = MakeLesson(plan, index);
  const PixelFeatures features(lesson.picture);
  const LabelMap map = LabelPixels(pixels, features);
  const BorderFeatures around(features.Lab(), map.labels);
  std::vector<int> borders, inside;
  const int columns = features.Columns();
  for (int i = 0; i < columns * features.Rows(); ++i) {
    const int x = i % columns * kStride, y = i / columns * kStride;
    if (map.labels.at<uint8_t>(y, x) == 0) continue;
    (TrueBorder(lesson, x, y) ? borders : inside).push_back(i);
  }
  const auto take = [&](const std::vector<int>& cells, int count, uint8_t label) {
    for (int i = 0; i < count && !cells.empty(); ++i) {
      const int cell = Pick(cells, &lesson.rng);
      around.At(cell % columns * kStride, cell / columns * kStride,
                example->Add(BorderFeatureCount(), label));
    }
  };
  take(borders, std::min<int>(borders.size(), kBordersAScene), 1);
  take(inside, kInsideAScene, 0);
}

// The shape of the object that the mask shows, kNoShape if it shows none whole, -1 if neither is
// clear or the object had its share already; `taken` counts per object.
int TrueShape(const Lesson& lesson, const cv::Mat& mask, std::vector<int>* taken) {
  float best = 0;
  size_t object = 0;
  for (size_t k = 0; k < lesson.scene.objects.size(); ++k) {
    const cv::Mat own = (lesson.truth == static_cast<int>(k + 1)) & 1;
    const float overlap =
        static_cast<float>(cv::countNonZero(own & mask)) / cv::countNonZero(own | mask);
    if (overlap > best) best = overlap, object = k;
  }
  if (best <= kOtherObject) return kNoShape;
  if (best < kSameObject || ++(*taken)[object] > kViewsAnObject) return -1;
  return static_cast<int>(lesson.scene.objects[object].shape);
}

void TakeShapes(const LessonPlan& plan, const Perceptron& pixels, const Perceptron& borders,
                uint64_t index, Example* example) {
  Lesson lesson = MakeLesson(plan, index);
  const PixelFeatures features(lesson.picture);
  LabelMap map = LabelPixels(pixels, features);
  FindBorders(borders, features, &map);
  for (int color = 0; color < scenes::kColors; ++color) {
    std::vector<cv::Mat> masks;
    for (const Cut& cut : FindCuts(map, color)) {
      const unsigned all = (1u << cut.size()) - 1;
      for (unsigned subset = all; subset; subset = (subset - 1) & all) {
        masks.push_back(Union(cut, subset));
      }
    }
    // Fine cuts yield many groups; a few of each picture suffice.
    for (size_t i = masks.size(); i > 1; --i) {
      std::swap(masks[i - 1], masks[lesson.rng.Below(static_cast<int>(i))]);
    }
    int parts = 0;
    std::vector<int> taken(lesson.scene.objects.size());
    for (const cv::Mat& mask : masks) {
      const int label = TrueShape(lesson, mask, &taken);
      if (label < 0 || (label == kNoShape && ++parts > kPartsAColor)) continue;
      const std::vector<float> row = ObjectFeatures(mask, map.labels, features.Lab());
      const std::vector<float> mirrored = Mirrored(row);
      for (const std::vector<float>* side : {&row, &mirrored}) {
        std::copy(side->begin(), side->end(),
                  example->Add(ObjectFeatureCount(), static_cast<uint8_t>(label)));
      }
    }
  }
}

// Runs take(i, &example) for all i on all threads and joins the examples in order.
Example Collect(int count, int threads, const std::function<void(int, Example*)>& take) {
  std::vector<Example> parts(count);
  std::atomic<int> next{0};
  const auto work = [&] {
    for (int i; (i = next++) < count;) take(i, &parts[i]);
  };
  std::vector<std::thread> pool;
  for (int i = 1; i < threads; ++i) pool.emplace_back(work);
  work();
  for (std::thread& thread : pool) thread.join();
  Example all;
  for (Example& part : parts) {
    all.features.insert(all.features.end(), part.features.begin(), part.features.end());
    all.labels.insert(all.labels.end(), part.labels.begin(), part.labels.end());
    part = {};
  }
  return all;
}

}  // namespace

cv::Mat Worn(const cv::Mat& picture, Wear wear, uint64_t seed, uint64_t stream) {
  cv::Mat worn = picture.clone();
  if (wear.blur > 0.2f) cv::GaussianBlur(worn, worn, {0, 0}, wear.blur);
  if (wear.noise <= 0) return worn;
  Rng rng(seed, stream);
  for (int i = 0; i < worn.rows * worn.cols * 3; ++i) {
    // A sum of four uniform numbers is close enough to a normal one.
    float sum = -2;
    for (int k = 0; k < 4; ++k) sum += rng.Uniform();
    worn.data[i] = cv::saturate_cast<uint8_t>(worn.data[i] + wear.noise * 1.732f * sum);
  }
  return worn;
}

Observer TrainObserver(const LessonPlan& plan) {
  Example example = Collect(plan.pixel_scenes, plan.threads,
                            [&](int i, Example* out) { TakePixels(plan, i, out); });
  Perceptron pixels = PixelClassifier();
  pixels.Train(example.features, example.labels, {.epochs = 6, .batch = 64, .rate = 3e-3f});

  // Every stage sees other scenes than those before it.
  int offset = plan.pixel_scenes;
  example = Collect(plan.border_scenes, plan.threads,
                    [&](int i, Example* out) { TakeBorders(plan, pixels, offset + i, out); });
  Perceptron borders = BorderClassifier();
  borders.Train(example.features, example.labels,
                {.epochs = 8, .batch = 64, .rate = 2e-3f, .decay = 2e-4f});

  offset += plan.border_scenes;
  example = Collect(plan.shape_scenes, plan.threads, [&](int i, Example* out) {
    TakeShapes(plan, pixels, borders, offset + i, out);
  });
  Perceptron shapes = ShapeClassifier();
  shapes.Train(example.features, example.labels,
               {.epochs = 10, .batch = 32, .rate = 1.5e-3f, .decay = 4e-4f});
  return Observer(std::move(pixels), std::move(borders), std::move(shapes));
}

}  // namespace fovea::evaluate
