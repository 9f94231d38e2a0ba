#include "pipelines/analytics/same_object.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <functional>
#include <random>

#include "tensor/error.h"

namespace fovea {
namespace {

constexpr int kRows = 5, kColumns = 6, kWidth = 12;

// Two objects and background at random places; the object is told by one of the first dimensions,
// hidden under larger ones that mean nothing.
std::vector<PatchSet> Sets(int count, uint64_t seed, bool are_shuffled) {
  std::mt19937_64 random(seed);
  const auto unit = [&] { return static_cast<float>(random() % 2001) / 1000 - 1; };
  std::vector<PatchSet> sets;
  for (int s = 0; s < count; ++s) {
    PatchSet set;
    for (int cell = 0; cell < kRows * kColumns; ++cell) {
      const auto label = static_cast<int>(random() % 3);
      set.labels.push_back(are_shuffled ? static_cast<int>(random() % 3) : label);
      set.cells.push_back({cell / kColumns, cell % kColumns});
      for (int d = 0; d < kWidth; ++d) {
        set.features.push_back(d < 3 ? (d == label ? 1.0f : 0.0f) + 0.1f * unit() : 5 * unit());
      }
    }
    sets.push_back(std::move(set));
  }
  return sets;
}

}  // namespace

TEST_CASE("the same-object probe finds what is there and nothing in shuffled labels") {
  const SameObjectScores planted = TestSameObject(Sets(40, 1, false), Sets(20, 2, false), 1);
  CHECK(planted.probe.accuracy > 0.95);
  CHECK(planted.probe.balanced > 0.95);
  CHECK(planted.cosine.balanced < 0.65);
  CHECK(planted.nearness.balanced == Approx(0.5).margin(0.05));
  const SameObjectScores shuffled = TestSameObject(Sets(40, 1, true), Sets(20, 2, true), 1);
  CHECK(shuffled.pairs > 5000);
  CHECK(shuffled.probe.balanced == Approx(0.5).margin(0.03));
  CHECK(shuffled.probe.accuracy == Approx(1 - shuffled.same).margin(0.03));
  const SameObjectScores again = TestSameObject(Sets(40, 1, false), Sets(20, 2, false), 1);
  CHECK(again.probe.accuracy == planted.probe.accuracy);
}

TEST_CASE("nearness is found where neighbours belong together") {
  std::vector<PatchSet> train = Sets(6, 1, false), test = Sets(6, 2, false);
  for (std::vector<PatchSet>* sets : {&train, &test}) {
    for (PatchSet& set : *sets) {
      for (size_t i = 0; i < set.labels.size(); ++i) {
        set.labels[i] = set.cells[i][1] == 0 ? 1 : set.cells[i][1] == 5 ? 2 : 0;
      }
    }
  }
  CHECK(TestSameObject(train, test, 1).nearness.balanced > 0.7);
}

TEST_CASE("the same-object probe says when there is nothing to learn from") {
  std::vector<PatchSet> train = Sets(4, 1, false), test = Sets(4, 2, false);
  for (PatchSet& set : test) std::fill(set.labels.begin(), set.labels.end(), 0);
  CHECK_THROWS_AS(TestSameObject(train, test, 1), Error);
}

TEST_CASE("object labels are what covers most of a cell") {
  Image mask{8, 4, std::vector<uint8_t>(8 * 4 * 3, 0)};
  const auto fill = [&](int from, int to, uint8_t grey) {
    for (int y = 0; y < 4; ++y) {
      for (int x = from; x < to; ++x) {
        for (int c = 0; c < 3; ++c) mask.rgb[static_cast<size_t>((y * 8 + x) * 3 + c)] = grey;
      }
    }
  };
  fill(0, 3, 60);
  fill(5, 8, 180);
  const auto same = [](const Image& image) { return image; };
  CHECK(ObjectLabels(mask, same, 1, 2) == std::vector<int>{1, 2});
  CHECK(ObjectLabels(mask, same, 1, 4) == std::vector<int>{1, 0, 0, 2});  // halves: background
  CHECK(ObjectLabels(mask, same, 2, 8) ==
        std::vector<int>{1, 1, 1, 0, 0, 2, 2, 2, 1, 1, 1, 0, 0, 2, 2, 2});
}

TEST_CASE("patches are chosen without doubles") {
  CHECK(ChoosePatches(64, 1).size() == 64);
  const std::vector<int> chosen = ChoosePatches(1369, 7);
  REQUIRE(chosen.size() == kMostPatches);
  CHECK(std::adjacent_find(chosen.begin(), chosen.end(), std::greater_equal<>()) == chosen.end());
  CHECK(chosen.back() < 1369);
  CHECK(chosen == ChoosePatches(1369, 7));
  CHECK(chosen != ChoosePatches(1369, 8));
}

}  // namespace fovea
