#include "tests/support/worst.h"

#include <catch2/catch.hpp>
#include <vector>

namespace fovea {
namespace {

Worst Compare(const std::vector<double>& got, const std::vector<double>& want) {
  Worst worst;
  for (size_t i = 0; i < want.size(); ++i) worst.Add(got[i], want[i]);
  return worst;
}

TEST_CASE("the worst difference is the largest one, of either sign, wherever it stands") {
  CHECK(Compare({1, 2, 3}, {1, 2, 3}).Value() == 0);
  CHECK(Compare({5, 2, 3}, {1, 2, 3}).Value() == 4);
  CHECK(Compare({1, -2, 3.5}, {1, 2, 3}).Value() == 4);
  CHECK(Compare({1, 2, -1}, {1, 2, 3}).Value() == 4);
  CHECK(Compare({5, 2, 3}, {1, 2, -8}).Relative() == 11.0 / 8);
  CHECK(Compare({5, 2, 3}, {1, 2, -8}).LargestWanted() == 8);
  Worst counted;
  counted.Add(10, 12, 4);
  counted.Add(1, 1.25, 1);
  CHECK(counted.Value() == 0.5);
}

TEST_CASE("NaN passes in no place, neither as small nor as large") {
  for (size_t place = 0; place < 3; ++place) {
    for (const bool in_got : {true, false}) {
      INFO(place << (in_got ? " got" : " wanted"));
      std::vector<double> got{1, 2, 3}, want{1, 2, 4};
      (in_got ? got : want)[place] = NAN;
      const Worst worst = Compare(got, want);
      CHECK(std::isnan(worst.Value()));
      CHECK(std::isnan(worst.Relative()));
      CHECK_FALSE(worst.Value() <= 1e9);
      CHECK_FALSE(worst.Value() > 0);
    }
  }
  Worst unit;
  unit.Add(1, 1, NAN);
  unit.Add(1, 1);
  CHECK(std::isnan(unit.Value()));
}

TEST_CASE("infinities agree with their own sign alone") {
  for (size_t place = 0; place < 3; ++place) {
    INFO(place);
    std::vector<double> got{1, 2, 3}, want{1, 2, 3};
    got[place] = INFINITY;
    CHECK(Compare(got, want).Value() == INFINITY);
    want[place] = -INFINITY;
    CHECK(Compare(got, want).Value() == INFINITY);
    want[place] = INFINITY;
    CHECK(Compare(got, want).Value() == 0);
    got[place] = 1;
    CHECK(Compare(got, want).Value() == INFINITY);
  }
}

TEST_CASE("a comparison of nothing passes nothing") {
  CHECK(std::isnan(Worst().Value()));
  CHECK_FALSE(Worst().Value() <= 1);
}

}  // namespace
}  // namespace fovea
