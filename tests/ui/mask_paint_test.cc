#include "ui/mask_paint.h"

#include <catch2/catch.hpp>

#include <algorithm>

namespace fovea {
namespace {

auto Count(const MaskPaint& mask) {
  return std::count(mask.white.begin(), mask.white.end(), 1);
}

}  // namespace

TEST_CASE("a mask has the proportions of its picture and is small") {
  const MaskPaint large = EmptyMask(3000, 1500);
  CHECK(large.width == 384);
  CHECK(large.height == 192);
  CHECK(IsEmpty(large));
  const MaskPaint small = EmptyMask(5, 1);
  CHECK((small.width == 5 && small.height == 1));
  const MaskPaint flat = EmptyMask(4000, 1);
  CHECK(flat.height == 1);
}

TEST_CASE("a stroke is a rounded line and is erased again") {
  MaskPaint mask = EmptyMask(40, 20);
  PaintStroke(10.5f, 10.5f, 10.5f, 10.5f, 0.4f, true, &mask);
  CHECK(Count(mask) == 1);
  CHECK(mask.white[10 * 40 + 10] == 1);
  PaintStroke(5.5f, 10.5f, 30.5f, 10.5f, 1.1f, true, &mask);
  CHECK(Count(mask) == 3 * 26 + 2);  // three lines and the middles of both ends
  PaintStroke(-100, -100, 200, 200, 400, false, &mask);
  CHECK(IsEmpty(mask));
  PaintStroke(39.5f, 19.5f, 60, 40, 0.6f, true, &mask);  // leaves the picture
  CHECK(Count(mask) == 1);
}

TEST_CASE("a mask becomes a picture and comes back from one of any size") {
  MaskPaint mask = EmptyMask(12, 8);
  PaintStroke(3, 3, 9, 5, 2, true, &mask);
  const auto painted = Count(mask);
  const MaskPaint again = MaskOf(ImageOf(mask), 12, 8);
  CHECK(again.white == mask.white);
  InvertMask(&mask);
  CHECK(Count(mask) == 96 - painted);
  Image grey{2, 1, {127, 127, 127, 129, 128, 128}};
  const MaskPaint halves = MaskOf(grey, 8, 4);
  CHECK(Count(halves) == 16);
  CHECK(halves.white[7] == 1);
}

}  // namespace fovea
