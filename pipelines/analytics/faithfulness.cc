#include "pipelines/analytics/faithfulness.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <random>

#include <opencv2/imgproc.hpp>

#include "tensor/error.h"

namespace fovea {
namespace {

// Pixels of cell i of `cells` along a side.
std::array<int, 2> Span(int i, int cells, int side) {
  return {static_cast<int>(int64_t{i} * side / cells),
          static_cast<int>(int64_t{i + 1} * side / cells)};
}

template <class Body>
void ForEachPixel(const Image& image, int cell, const HeatMap& map, const Body& body) {
  const auto rows = Span(cell / map.width, map.height, image.height);
  const auto columns = Span(cell % map.width, map.width, image.width);
  for (int y = rows[0]; y < rows[1]; ++y) {
    for (int x = columns[0]; x < columns[1]; ++x) {
      body(static_cast<size_t>(y) * static_cast<size_t>(image.width) + static_cast<size_t>(x));
    }
  }
}

std::array<uint8_t, 3> MeanColour(const Image& image) {
  std::array<double, 3> sum{};
  for (size_t i = 0; i < image.rgb.size(); ++i) sum[i % 3] += image.rgb[i];
  std::array<uint8_t, 3> mean{};
  for (size_t c = 0; c < 3; ++c) {
    mean[c] = static_cast<uint8_t>(std::lround(sum[c] * 3 / static_cast<double>(image.rgb.size())));
  }
  return mean;
}

// RISE's substrate for insertion: so blurred that little can be recognised.
Image Blurred(const Image& image) {
  Image out = image;
  cv::Mat from(image.height, image.width, CV_8UC3, const_cast<uint8_t*>(image.rgb.data()));
  cv::Mat to(out.height, out.width, CV_8UC3, out.rgb.data());
  cv::GaussianBlur(from, to, {0, 0}, std::max(2.0, image.width / 12.0), 0, cv::BORDER_REPLICATE);
  return out;
}

// Cells, the most marked first; equal ones in order.
std::vector<int> Order(const HeatMap& map) {
  std::vector<int> order(map.values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return map.values[static_cast<size_t>(a)] > map.values[static_cast<size_t>(b)];
  });
  return order;
}

std::vector<double> Ranks(const HeatMap& map) {
  const std::vector<int> order = Order(map);
  std::vector<double> ranks(order.size());
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    const auto value = [&](size_t i) { return map.values[static_cast<size_t>(order[i])]; };
    while (end < order.size() && value(end) == value(begin)) ++end;
    for (size_t i = begin; i < end; ++i) {
      ranks[static_cast<size_t>(order[i])] = static_cast<double>(begin + end - 1) / 2;
    }
    begin = end;
  }
  return ranks;
}

}  // namespace

MapScores ScoreAgainstMask(const HeatMap& map, const Image& mask) {
  const auto cells = static_cast<int>(map.values.size());
  std::vector<double> on(map.values.size());
  double weight = 0, inside = 0, mean = 0;
  for (int cell = 0; cell < cells; ++cell) {
    double white = 0, pixels = 0;
    ForEachPixel(mask, cell, map, [&](size_t p) {
      white += mask.rgb[p * 3] >= 128 ? 1 : 0;
      ++pixels;
    });
    const auto at = static_cast<size_t>(cell);
    on[at] = pixels > 0 ? white / pixels : 0;
    const double value = std::max(0.0, static_cast<double>(map.values[at]));
    weight += value;
    inside += value * on[at];
    mean += static_cast<double>(map.values[at]) / cells;
  }
  MapScores scores;
  scores.mass = weight > 0 ? inside / weight : 0;
  double both = 0, either = 0;
  for (size_t i = 0; i < on.size(); ++i) {
    const bool marked = static_cast<double>(map.values[i]) > mean;
    both += marked ? on[i] : 0;
    either += marked ? 1 : on[i];
  }
  scores.iou = either > 0 ? both / either : 0;
  scores.pointing = on[static_cast<size_t>(Order(map).front())] >= 0.5 ? 1 : 0;
  return scores;
}

MapCurves ScoreByAnswer(const HeatMap& map, const Image& picture, int steps, const Answer& answer) {
  ENSURE(steps > 0);
  const std::vector<int> order = Order(map);
  const auto mean = MeanColour(picture);
  Image less = picture, more = Blurred(picture);
  MapCurves curves;
  size_t done = 0;
  for (int step = 0; step <= steps; ++step) {
    const size_t until = order.size() * static_cast<size_t>(step) / static_cast<size_t>(steps);
    for (; done < until; ++done) {
      ForEachPixel(picture, order[done], map, [&](size_t p) {
        for (size_t c = 0; c < 3; ++c) {
          less.rgb[p * 3 + c] = mean[c];
          more.rgb[p * 3 + c] = picture.rgb[p * 3 + c];
        }
      });
    }
    // The trapezoidal rule: both ends count by half.
    const double share = (step == 0 || step == steps ? 0.5 : 1.0) / steps;
    curves.deletion += share * answer(less);
    curves.insertion += share * answer(more);
  }
  return curves;
}

HeatMap RandomMap(int height, int width, uint64_t seed) {
  HeatMap map{height, width, {}};
  std::mt19937_64 random(seed);
  for (int i = 0; i < height * width; ++i) {
    map.values.push_back(static_cast<float>(static_cast<double>(random() >> 11) * 0x1p-53));
  }
  return map;
}

HeatMap CentreMap(int height, int width) {
  HeatMap map{height, width, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const double dy = (y + 0.5) / height - 0.5, dx = (x + 0.5) / width - 0.5;
      map.values.push_back(static_cast<float>(std::exp(-(dy * dy + dx * dx) / (2 * 0.2 * 0.2))));
    }
  }
  return map;
}

HeatMap EdgeMap(const Image& picture, int height, int width) {
  HeatMap map{height, width, std::vector<float>(static_cast<size_t>(height * width))};
  const auto grey = [&](int y, int x) {
    y = std::clamp(y, 0, picture.height - 1);
    x = std::clamp(x, 0, picture.width - 1);
    const uint8_t* p =
        picture.rgb.data() +
        (static_cast<size_t>(y) * static_cast<size_t>(picture.width) + static_cast<size_t>(x)) * 3;
    return 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
  };
  for (int cell = 0; cell < height * width; ++cell) {
    double sum = 0, pixels = 0;
    ForEachPixel(picture, cell, map, [&](size_t p) {
      const int y = static_cast<int>(p) / picture.width, x = static_cast<int>(p) % picture.width;
      const double gx = grey(y - 1, x + 1) + 2 * grey(y, x + 1) + grey(y + 1, x + 1) -
                        grey(y - 1, x - 1) - 2 * grey(y, x - 1) - grey(y + 1, x - 1);
      const double gy = grey(y + 1, x - 1) + 2 * grey(y + 1, x) + grey(y + 1, x + 1) -
                        grey(y - 1, x - 1) - 2 * grey(y - 1, x) - grey(y - 1, x + 1);
      sum += std::sqrt(gx * gx + gy * gy);
      ++pixels;
    });
    map.values[static_cast<size_t>(cell)] = static_cast<float>(pixels > 0 ? sum / pixels : 0);
  }
  return map;
}

HeatMap OcclusionMap(const Image& picture, int height, int width, const Answer& answer) {
  HeatMap map{height, width, std::vector<float>(static_cast<size_t>(height * width))};
  const auto mean = MeanColour(picture);
  const double before = answer(picture);
  for (int cell = 0; cell < height * width; ++cell) {
    Image covered = picture;
    ForEachPixel(picture, cell, map, [&](size_t p) {
      for (size_t c = 0; c < 3; ++c) covered.rgb[p * 3 + c] = mean[c];
    });
    map.values[static_cast<size_t>(cell)] = static_cast<float>(before - answer(covered));
  }
  return map;
}

double RankCorrelation(const HeatMap& a, const HeatMap& b) {
  ENSURE(a.values.size() == b.values.size() && !a.values.empty());
  const std::vector<double> x = Ranks(a), y = Ranks(b);
  const double mean = static_cast<double>(x.size() - 1) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

}  // namespace fovea
