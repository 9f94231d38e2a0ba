// Whether the sharpness of outlines is what blurring a known edge makes it, at every size.
#include "tools/evaluate/sharpness.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace fovea::evaluate {
namespace {

// A red disc on grey, blurred by `sigma` pixels, and what an observer would report of it.
struct Example {
  cv::Mat picture;
  std::vector<Sighting> sightings;
};

Example Disc(int width, int height, double sigma) {
  const int side = std::min(width, height);
  cv::Mat picture(height, width, CV_8UC3, cv::Scalar(130, 130, 130));
  cv::circle(picture, {width / 2, height / 2}, side / 4, cv::Scalar(200, 30, 40), cv::FILLED);
  if (sigma > 0) cv::GaussianBlur(picture, picture, {0, 0}, sigma);
  const double scale = static_cast<double>(kShortSide) / side;
  const cv::Size canonical(static_cast<int>(width * scale), static_cast<int>(height * scale));
  Sighting sighting;
  sighting.mask = cv::Mat::zeros(canonical, CV_8U);
  cv::circle(sighting.mask, {canonical.width / 2, canonical.height / 2}, kShortSide / 4,
             cv::Scalar(1), cv::FILLED);
  return {picture, {sighting}};
}

float SharpnessOfDisc(int width, int height, double sigma) {
  const Example example = Disc(width, height, sigma);
  return OutlineSharpness(example.picture, example.sightings);
}

}  // namespace

TEST_CASE("A blurred edge has the steepest step of its Gaussian", "[evaluate]") {
  for (const auto& [width, height] : {std::pair{128, 128}, {192, 128}, {128, 256}, {256, 256}}) {
    for (const double sigma : {1.0, 1.5, 2.0}) {
      INFO(width << "x" << height << " sigma " << sigma);
      const double wanted = std::erf(0.5 / (sigma * std::sqrt(2.0)));
      CHECK(SharpnessOfDisc(width, height, sigma) == Approx(wanted).epsilon(0.12));
    }
    CHECK(SharpnessOfDisc(width, height, 0) > 0.6f);
  }
}

TEST_CASE("Outlines without contrast are not measured", "[evaluate]") {
  Example example = Disc(128, 128, 1);
  example.picture.setTo(cv::Scalar(90, 90, 90));
  CHECK(OutlineSharpness(example.picture, example.sightings) < 0);
  CHECK(OutlineSharpness(example.picture, {}) < 0);
}

TEST_CASE("Pieces are connected regions of one colour that are not tiny", "[evaluate]") {
  LabelMap map;
  map.labels = cv::Mat::zeros(128, 192, CV_8U);
  CHECK(CountPieces(map) == 0);
  map.labels(cv::Rect(10, 10, 20, 20)).setTo(1);
  map.labels(cv::Rect(30, 10, 20, 20)).setTo(2);   // touches, but has another colour
  map.labels(cv::Rect(120, 60, 20, 20)).setTo(1);  // the first colour again, apart
  map.labels(cv::Rect(180, 100, 3, 3)).setTo(4);   // tiny
  CHECK(CountPieces(map) == 3);
}

}  // namespace fovea::evaluate
