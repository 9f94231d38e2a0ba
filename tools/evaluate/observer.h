// Says which objects a picture shows: colour, shape and place of each. Knows nothing of the models
// that paint pictures; it learns to see from freshly rendered scenes.
#pragma once

#include <opencv2/core.hpp>
#include <string>
#include <vector>

#include "tools/evaluate/layers.h"
#include "tools/evaluate/segments.h"
#include "tools/scenes/scene.h"

namespace fovea::evaluate {

inline constexpr int kNoShape = scenes::kShapes;  // several objects, or a part of one

struct Sighting {
  scenes::Color color = scenes::Color::kRed;
  scenes::Shape shape = scenes::Shape::kSphere;
  float confidence = 0;
  cv::Rect box;  // in pixels of the canonical picture
  float center_x = 0, center_y = 0;
  int pixels = 0;
  cv::Mat mask;  // 8-bit, 0 or 1, as large as the canonical picture
};

struct Observation {
  std::vector<Sighting> sightings;  // biggest objects first
  int pieces = 0;                   // regions of one colour, whatever objects they make
};

class Observer {
 public:
  Observer(Perceptron pixels, Perceptron borders, Perceptron shapes)
      : pixels_(std::move(pixels)), borders_(std::move(borders)), shapes_(std::move(shapes)) {}

  // Both throw std::runtime_error with the path and the reason.
  void Save(const std::string& path) const;
  static Observer Load(const std::string& path);

  // `picture` is 8-bit RGB of any size and aspect.
  Observation Observe(const cv::Mat& picture) const;

 private:
  // Sightings of the best grouping of one colour's segments, and how well it fits.
  float Recognise(const Cut& cut, const LabelMap& map, const PixelFeatures& features,
                  std::vector<Sighting>* sightings) const;

  Perceptron pixels_, borders_, shapes_;
};

// Untrained classifiers of the right sizes.
Perceptron PixelClassifier();
Perceptron BorderClassifier();
Perceptron ShapeClassifier();

// The picture with a shorter side of kShortSide, its aspect kept.
cv::Mat Canonical(const cv::Mat& picture);

// Union of the segments whose bits are set in `members`; there is at least one segment.
cv::Mat Union(const Cut& cut, unsigned members);

}  // namespace fovea::evaluate
