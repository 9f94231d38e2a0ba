// Pixel probabilities at every second pixel, resampled, then connected components a colour.
#include "tools/evaluate/segments.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>

#include "tools/evaluate/border_features.h"

namespace fovea::evaluate {
namespace {

constexpr float kBorderCut = 0.35f;
constexpr int kMinPixels = 28;      // a sixth of the smallest object of a scene of three
constexpr size_t kMaxSegments = 5;  // a colour; two to that power groups are looked at
constexpr int kMinSeed = 8;
// How deep inside its region a seed of a segment must lie; below zero the border is ignored.
constexpr float kDepths[] = {-1, 0, 1.5f, 2.5f, 3.5f, 5, 7, 9, 11, 13};

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
cv::Mat ToPixels(const cv::Mat& cells, cv::Size size) {
  const cv::Matx23f to_cells(1.0f / kStride, 0, 0, 0, 1.0f / kStride, 0);
  cv::Mat full;
  cv::warpAffine(cells, full, to_cells, size, cv::INTER_LINEAR | cv::WARP_INVERSE_MAP,
                 cv::BORDER_REPLICATE);
  return full;
}

}  // namespace

LabelMap LabelPixels(const Perceptron& pixels, const PixelFeatures& features) {
  const int width = PixelFeatureCount(), columns = features.Columns(),
            count = columns * features.Rows();
  std::vector<float> rows(static_cast<size_t>(count) * width);
  for (int i = 0; i < count; ++i) features.At(i % columns, i / columns, &rows[i * size_t(width)]);
  std::vector<float> probabilities(static_cast<size_t>(count) * kPixelLabels);
  pixels.Predict(rows.data(), count, probabilities.data());

  LabelMap map;
  const cv::Size size = features.Lab().size();
  map.labels = cv::Mat::zeros(size, CV_8U);
  cv::Mat best(size, CV_32F, cv::Scalar(-1));
  for (int label = 0; label < kPixelLabels; ++label) {
    cv::Mat cells(features.Rows(), columns, CV_32F);
    for (int i = 0; i < count; ++i) {
      cells.at<float>(i / columns, i % columns) = probabilities[i * size_t(kPixelLabels) + label];
    }
    const cv::Mat full = ToPixels(cells, size);
    const cv::Mat better = full > best;
    full.copyTo(best, better);
    map.labels.setTo(label, better);
  }
  return map;
}

void FindBorders(const Perceptron& borders, const PixelFeatures& features, LabelMap* map) {
  const BorderFeatures around(features.Lab(), map->labels);
  const int width = BorderFeatureCount(), columns = features.Columns();
  std::vector<int> cells;
  for (int i = 0; i < columns * features.Rows(); ++i) {
    if (map->labels.at<uint8_t>(i / columns * kStride, i % columns * kStride)) cells.push_back(i);
  }
  std::vector<float> rows(cells.size() * width), probabilities(cells.size() * 2);
  for (size_t k = 0; k < cells.size(); ++k) {
    around.At(cells[k] % columns * kStride, cells[k] / columns * kStride, &rows[k * width]);
  }
  borders.Predict(rows.data(), static_cast<int>(cells.size()), probabilities.data());
  cv::Mat border = cv::Mat::zeros(features.Rows(), columns, CV_32F);
  for (size_t k = 0; k < cells.size(); ++k) {
    border.at<float>(cells[k] / columns, cells[k] % columns) = probabilities[2 * k + 1];
  }
  map->border = ToPixels(border, features.Lab().size());
}

int CountPieces(const LabelMap& map) {
  int pieces = 0;
  for (int label = 1; label < kPixelLabels; ++label) {
    cv::Mat components, statistics, centers;
    const int count =
        cv::connectedComponentsWithStats(map.labels == label, components, statistics, centers, 8);
    for (int id = 1; id < count; ++id) {
      pieces += statistics.at<int>(id, cv::CC_STAT_AREA) >= kMinPixels;
    }
  }
  return pieces;
}

std::vector<Cut> FindCuts(const LabelMap& map, int color) {
  std::vector<Cut> cuts;
  const cv::Mat region = map.labels == color + 1;
  if (cv::countNonZero(region) < kMinPixels) return cuts;
  const cv::Mat core = region & (map.border < kBorderCut);
  // The frame is no border: pad so that it does not count as one.
  cv::Mat padded, depth;
  cv::copyMakeBorder(core, padded, 1, 1, 1, 1, cv::BORDER_REPLICATE);
  cv::distanceTransform(padded, depth, cv::DIST_L2, 5);
  depth = depth(cv::Rect(1, 1, core.cols, core.rows));
  for (const float least : kDepths) {
    const cv::Mat seeds = least < 0 ? region : core & (depth > least);
    cv::Mat components, statistics, centers;
    const int count = cv::connectedComponentsWithStats(seeds, components, statistics, centers, 8);
    const int enough = least <= 0 ? kMinPixels : kMinSeed;
    for (int& id : cv::Mat_<int>(components)) {
      if (id && statistics.at<int>(id, cv::CC_STAT_AREA) < enough) id = 0;
    }
    GrowInto(core, &components);
    GrowInto(region, &components);
    Cut cut;
    for (int id = 1; id < count; ++id) {
      Segment segment;
      segment.mask = (components == id) & 1;
      segment.pixels = cv::countNonZero(segment.mask);
      if (segment.pixels >= kMinPixels) cut.push_back(std::move(segment));
    }
    if (cut.empty()) continue;
    std::sort(cut.begin(), cut.end(),
              [](const Segment& a, const Segment& b) { return a.pixels > b.pixels; });
    if (cut.size() > kMaxSegments) cut.resize(kMaxSegments);
    const bool known = std::any_of(cuts.begin(), cuts.end(),
                                   [&](const Cut& other) { return other.size() == cut.size(); });
    if (!known) cuts.push_back(std::move(cut));
  }
  return cuts;
}

}  // namespace fovea::evaluate
