#include "pipelines/analytics/faithfulness.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

namespace fovea {
namespace {

// White in columns [from, to) of 8, 8x4 pixels.
Image Stripe(int from, int to) {
  Image image{8, 4, {}};
  for (int i = 0; i < 32; ++i) {
    const uint8_t value = i % 8 >= from && i % 8 < to ? 255 : 0;
    image.rgb.insert(image.rgb.end(), {value, value, value});
  }
  return image;
}

}  // namespace

TEST_CASE("a map is scored against a mask by cells") {
  // 1x4 cells of two columns each; the mask covers the second and half of the third.
  const HeatMap map{1, 4, {0.1f, 0.6f, 0.2f, 0.1f}};
  const MapScores scores = ScoreAgainstMask(map, Stripe(2, 5));
  CHECK(scores.pointing == 1);
  CHECK(scores.mass == Approx(0.7));
  CHECK(scores.iou == Approx(1 / 1.5));  // above the mean: the second cell alone
  CHECK(ScoreAgainstMask(map, Stripe(4, 8)).pointing == 0);
  // Of equal largest values the first counts; a flat map marks nothing.
  const MapScores flat = ScoreAgainstMask({1, 4, {1, 1, 1, 1}}, Stripe(0, 2));
  CHECK(flat.pointing == 1);
  CHECK(flat.iou == 0);
  CHECK(flat.mass == Approx(0.25));
  CHECK(ScoreAgainstMask({1, 4, {-1, -2, -1, -1}}, Stripe(0, 8)).mass == 0);
}

TEST_CASE("deletion and insertion follow the order of a map") {
  const Image picture = Stripe(0, 2);  // all of the answer is in the first of four cells
  const Answer answer = [&](const Image& image) {
    double white = 0;
    for (int y = 0; y < 4; ++y) white += image.rgb[static_cast<size_t>(y * 8) * 3] > 200 ? 0.25 : 0;
    return white;
  };
  const MapCurves right = ScoreByAnswer({1, 4, {1, 0, 0, 0}}, picture, 4, answer);
  CHECK(right.deletion == Approx(0.5 / 4));
  CHECK(right.insertion == Approx(3.5 / 4));
  const MapCurves wrong = ScoreByAnswer({1, 4, {0, 1, 2, 3}}, picture, 4, answer);
  CHECK(wrong.deletion == Approx(3.5 / 4));
  CHECK(wrong.insertion == Approx(0.5 / 4));
  const HeatMap occlusion = OcclusionMap(picture, 1, 4, answer);
  CHECK(occlusion.values[0] == 1);
  CHECK(occlusion.values[3] == 0);
}

TEST_CASE("baselines have their places") {
  const HeatMap centre = CentreMap(5, 7);
  CHECK(std::max_element(centre.values.begin(), centre.values.end()) - centre.values.begin() == 17);
  CHECK(centre.values[0] == Approx(centre.values[34]));
  const HeatMap edges = EdgeMap(Stripe(4, 8), 1, 4);
  CHECK(edges.values[0] == 0);
  CHECK(edges.values[1] > 100);
  CHECK(edges.values[2] == Approx(edges.values[1]));
  CHECK(RandomMap(3, 3, 1).values == RandomMap(3, 3, 1).values);
  CHECK(RandomMap(3, 3, 1).values != RandomMap(3, 3, 2).values);
}

TEST_CASE("rank correlation is of ranks and shares them among equals") {
  const HeatMap a{1, 4, {1, 2, 3, 10}};
  CHECK(RankCorrelation(a, {1, 4, {-5, 0, 1, 2}}) == Approx(1));
  CHECK(RankCorrelation(a, {1, 4, {9, 3, 2, 1}}) == Approx(-1));
  CHECK(RankCorrelation(a, {1, 4, {1, 1, 1, 1}}) == 0);
  // scipy.stats.spearmanr([1, 2, 3, 10], [1, 1, 2, 0])
  CHECK(RankCorrelation(a, {1, 4, {1, 1, 2, 0}}) == Approx(-0.3162277660));
}

}  // namespace fovea
