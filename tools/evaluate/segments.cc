// Pixel probabilities at every second pixel, resampled, then connected components a colour.
#include "tools/evaluate/segments.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>

#include "tools/evaluate/border_features.h"

namespace fovea::evaluate {
namespace {

constexpr float kBorderCut = 0.35f;
constexpr int kMinPixels = 28;  // a sixth of the smallest object of a scene of three
constexpr size_t kMaxSegmentsAColor = 5;

// Gives the pixels of `region` that belong to no component yet to the nearest one.
void GrowInto(const cv::Mat& region, cv::Mat* components) {
  for (bool changed = true; changed;) {
    changed = false;
    const cv::Mat before = components->clone();
    for (int y = 0; y < region.rows; ++y) {
      for (int x = 0; x < region.cols; ++x) {
        if (!region.at<uint8_t>(y, x) || before.at<int>(y, x)) continue;
        for (const auto& [dx, dy] : {std::pair{1, 0}, {-1, 0}, {0, 1}, {0, -1}}) {
          const int u = x + dx, v = y + dy;
          if (u < 0 || v < 0 || u >= region.cols || v >= region.rows || !before.at<int>(v, u)) {
            continue;
          }
          components->at<int>(y, x) = before.at<int>(v, u);
          changed = true;
          break;
        }
      }
    }
  }
}

// Cell (x, y) stands at pixel (2x, 2y), so the resampling has no half-pixel shift.
cv::Mat ToPixels(const cv::Mat& cells) {
  const cv::Matx23f to_cells(1.0f / kStride, 0, 0, 0, 1.0f / kStride, 0);
  cv::Mat full;
  cv::warpAffine(cells, full, to_cells, {kPictureSize, kPictureSize},
                 cv::INTER_LINEAR | cv::WARP_INVERSE_MAP, cv::BORDER_REPLICATE);
  return full;
}

}  // namespace

LabelMap LabelPixels(const Perceptron& pixels, const PixelFeatures& features) {
  const int width = PixelFeatureCount();
  std::vector<float> rows(static_cast<size_t>(kGrid) * kGrid * width);
  for (int y = 0; y < kGrid; ++y) {
    for (int x = 0; x < kGrid; ++x) features.At(x, y, &rows[(y * kGrid + x) * size_t(width)]);
  }
  std::vector<float> probabilities(static_cast<size_t>(kGrid) * kGrid * kPixelLabels);
  pixels.Predict(rows.data(), kGrid * kGrid, probabilities.data());

  LabelMap map;
  map.labels = cv::Mat::zeros(kPictureSize, kPictureSize, CV_8U);
  cv::Mat best(kPictureSize, kPictureSize, CV_32F, cv::Scalar(-1));
  for (int label = 0; label < kPixelLabels; ++label) {
    cv::Mat cells(kGrid, kGrid, CV_32F);
    for (int i = 0; i < kGrid * kGrid; ++i) {
      cells.at<float>(i / kGrid, i % kGrid) = probabilities[i * size_t(kPixelLabels) + label];
    }
    const cv::Mat full = ToPixels(cells);
    const cv::Mat better = full > best;
    full.copyTo(best, better);
    map.labels.setTo(label, better);
  }
  return map;
}

void FindBorders(const Perceptron& borders, const PixelFeatures& features, LabelMap* map) {
  const BorderFeatures around(features.Lab(), map->labels);
  const int width = BorderFeatureCount();
  std::vector<int> cells;
  for (int i = 0; i < kGrid * kGrid; ++i) {
    if (map->labels.at<uint8_t>(i / kGrid * kStride, i % kGrid * kStride)) cells.push_back(i);
  }
  std::vector<float> rows(cells.size() * width), probabilities(cells.size() * 2);
  for (size_t k = 0; k < cells.size(); ++k) {
    around.At(cells[k] % kGrid * kStride, cells[k] / kGrid * kStride, &rows[k * width]);
  }
  borders.Predict(rows.data(), static_cast<int>(cells.size()), probabilities.data());
  cv::Mat border = cv::Mat::zeros(kGrid, kGrid, CV_32F);
  for (size_t k = 0; k < cells.size(); ++k) {
    border.at<float>(cells[k] / kGrid, cells[k] % kGrid) = probabilities[2 * k + 1];
  }
  map->border = ToPixels(border);
}

std::vector<Segment> FindSegments(const LabelMap& map) {
  std::vector<Segment> segments;
  const cv::Mat inside = map.border < kBorderCut;
  for (int label = 1; label < kPixelLabels; ++label) {
    const cv::Mat region = map.labels == label;
    if (cv::countNonZero(region) < kMinPixels) continue;
    cv::Mat core = region & inside, components, statistics, centers;
    const int count = cv::connectedComponentsWithStats(core, components, statistics, centers, 8);
    for (int y = 0; y < components.rows; ++y) {
      for (int x = 0; x < components.cols; ++x) {
        int& id = components.at<int>(y, x);
        if (id && statistics.at<int>(id, cv::CC_STAT_AREA) < kMinPixels) id = 0;
      }
    }
    GrowInto(region, &components);
    std::vector<Segment> found;
    for (int id = 1; id < count; ++id) {
      Segment segment;
      segment.mask = (components == id) & 1;
      segment.pixels = cv::countNonZero(segment.mask);
      segment.color = label - 1;
      if (segment.pixels >= kMinPixels) found.push_back(std::move(segment));
    }
    std::sort(found.begin(), found.end(),
              [](const Segment& a, const Segment& b) { return a.pixels > b.pixels; });
    if (found.size() > kMaxSegmentsAColor) found.resize(kMaxSegmentsAColor);
    for (Segment& segment : found) segments.push_back(std::move(segment));
  }
  return segments;
}

}  // namespace fovea::evaluate
