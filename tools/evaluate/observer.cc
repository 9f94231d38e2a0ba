// Segments of one colour may be parts of one object or several objects: tries every grouping and
// keeps the one whose groups look most like whole shapes.
#include "tools/evaluate/observer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <opencv2/imgproc.hpp>
#include <stdexcept>

#include "tools/evaluate/border_features.h"
#include "tools/evaluate/object_features.h"

namespace fovea::evaluate {
namespace {

// What it costs to take a group for no object at all; small ones may be mirror images or noise.
constexpr float kDropCost = 4.0f, kDropSmallCost = 0.9f;
// Changes whenever features or lessons do.
constexpr const char* kFileMark = "fovea observer 4\n";
constexpr int kSmallPixels = 110;

struct Group {
  float score = 0;
  int shape = kNoShape;
  float confidence = 0;
};

// Best grouping of the segments in `rest`: the group of the lowest one is tried in all ways.
float BestGrouping(unsigned rest, const std::map<unsigned, Group>& groups,
                   std::vector<unsigned>* chosen) {
  chosen->clear();
  if (rest == 0) return 0;
  const unsigned lowest = rest & -rest, others = rest ^ lowest;
  float best = -1e30f;
  for (unsigned subset = others;; subset = (subset - 1) & others) {
    const unsigned group = subset | lowest;
    std::vector<unsigned> further;
    const float score = groups.at(group).score + BestGrouping(rest ^ group, groups, &further);
    if (score > best) {
      best = score;
      *chosen = further;
      chosen->push_back(group);
    }
    if (subset == 0) break;
  }
  return best;
}

}  // namespace

Perceptron PixelClassifier() {
  return Perceptron({PixelFeatureCount(), 64, 32, kPixelLabels});
}

Perceptron BorderClassifier() {
  return Perceptron({BorderFeatureCount(), 48, 16, 2});
}

Perceptron ShapeClassifier() {
  return Perceptron({ObjectFeatureCount(), 64, 32, kNoShape + 1});
}

void Observer::Save(const std::string& path) const {
  const std::string temporary = path + ".part";
  std::ofstream stream(temporary, std::ios::binary);
  stream << kFileMark;
  pixels_.Save(&stream);
  borders_.Save(&stream);
  shapes_.Save(&stream);
  stream.close();
  if (!stream || std::rename(temporary.c_str(), path.c_str()) != 0) {
    throw std::runtime_error("cannot write observer " + path);
  }
}

Observer Observer::Load(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::string mark(std::char_traits<char>::length(kFileMark), ' ');
  stream.read(mark.data(), static_cast<std::streamsize>(mark.size()));
  Observer observer(PixelClassifier(), BorderClassifier(), ShapeClassifier());
  if (mark != kFileMark || !observer.pixels_.Load(&stream) || !observer.borders_.Load(&stream) ||
      !observer.shapes_.Load(&stream) || stream.peek() != std::char_traits<char>::eof()) {
    throw std::runtime_error("cannot use observer " + path +
                             ": not written by this version; delete it to learn anew");
  }
  return observer;
}

cv::Mat Canonical(const cv::Mat& picture) {
  const int side = std::min(picture.cols, picture.rows);
  if (side == kShortSide) return picture;
  const auto length = [side](int pixels) {
    return static_cast<int>(std::lround(static_cast<double>(pixels) * kShortSide / side));
  };
  cv::Mat scaled;
  cv::resize(picture, scaled, {length(picture.cols), length(picture.rows)}, 0, 0,
             side > kShortSide ? cv::INTER_AREA : cv::INTER_CUBIC);
  return scaled;
}

cv::Mat Union(const Cut& cut, unsigned members) {
  cv::Mat mask = cv::Mat::zeros(cut.at(0).mask.size(), CV_8U);
  for (size_t i = 0; i < cut.size(); ++i) {
    if (members >> i & 1) mask |= cut[i].mask;
  }
  return mask;
}

Observation Observer::Observe(const cv::Mat& picture) const {
  const PixelFeatures features(Canonical(picture));
  LabelMap map = LabelPixels(pixels_, features);
  FindBorders(borders_, features, &map);
  Observation seen;
  seen.pieces = CountPieces(map);
  std::vector<Sighting>& sightings = seen.sightings;
  for (int color = 0; color < scenes::kColors; ++color) {
    float best = -1e30f;
    std::vector<Sighting> found;
    for (const Cut& cut : FindCuts(map, color)) {
      std::vector<Sighting> proposed;
      const float score = Recognise(cut, map, features, &proposed);
      if (score <= best) continue;
      best = score;
      found = std::move(proposed);
    }
    for (Sighting& sighting : found) {
      sighting.color = static_cast<scenes::Color>(color);
      sightings.push_back(sighting);
    }
  }
  std::sort(sightings.begin(), sightings.end(),
            [](const Sighting& a, const Sighting& b) { return a.pixels > b.pixels; });
  return seen;
}

float Observer::Recognise(const Cut& cut, const LabelMap& map, const PixelFeatures& features,
                          std::vector<Sighting>* sightings) const {
  const unsigned all = (1u << cut.size()) - 1;
  std::map<unsigned, Group> groups;
  for (unsigned subset = all; subset; subset = (subset - 1) & all) {
    const cv::Mat mask = Union(cut, subset);
    std::array<float, kNoShape + 1> probability;
    const std::vector<float> row = ObjectFeatures(mask, map.labels, features.Lab());
    shapes_.Predict(row.data(), 1, probability.data());
    Group group;
    group.shape = static_cast<int>(std::max_element(probability.begin(), probability.end() - 1) -
                                   probability.begin());
    group.confidence = probability[group.shape];
    group.score = std::log(group.confidence + 1e-6f);
    const float drop = std::log(probability[kNoShape] + 1e-6f) -
                       (cv::countNonZero(mask) < kSmallPixels ? kDropSmallCost : kDropCost);
    if (drop > group.score) group = {drop, kNoShape, 0};
    groups[subset] = group;
  }
  std::vector<unsigned> chosen;
  const float score = BestGrouping(all, groups, &chosen);
  for (const unsigned members : chosen) {
    const Group& group = groups.at(members);
    if (group.shape == kNoShape) continue;
    const cv::Mat mask = Union(cut, members);
    const cv::Moments moments = cv::moments(mask, true);
    Sighting sighting;
    sighting.shape = static_cast<scenes::Shape>(group.shape);
    sighting.confidence = group.confidence;
    sighting.box = cv::boundingRect(mask);
    sighting.center_x = static_cast<float>(moments.m10 / moments.m00);
    sighting.center_y = static_cast<float>(moments.m01 / moments.m00);
    sighting.pixels = cv::countNonZero(mask);
    sighting.mask = mask;
    sightings->push_back(sighting);
  }
  return score;
}

}  // namespace fovea::evaluate
