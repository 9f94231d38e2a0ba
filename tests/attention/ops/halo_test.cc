// Halo attention against its definition.
#include "attention/ops/halo.h"

#include <catch2/catch.hpp>

#include "tests/support/operator_case.h"

namespace fovea {
namespace {

void Check(OperatorCase c, const std::array<int, 3>& block, const std::array<int, 3>& halo) {
  c.op = "halo";
  const auto join = [&](const std::array<int, 3>& v) {
    return (c.grid[0] > 1 ? std::to_string(v[0]) + "x" : "") + std::to_string(v[1]) + "x" +
           std::to_string(v[2]);
  };
  c.params = {{"block", join(block)}, {"halo", join(halo)}};
  CheckAgainstDefinition(c, [&](const GridPoint& q, const GridPoint& k) {
    for (size_t a = 0; a < 3; ++a) {
      const int begin = q[a] - q[a] % block[a];
      if (k[a] < begin - halo[a] || k[a] >= begin + block[a] + halo[a]) return false;
    }
    return true;
  });
}

TEST_CASE("halo equals its definition") {
  Check({"", {}, {1, 16, 16}}, {1, 8, 8}, {0, 3, 3});
  Check({"", {}, {1, 19, 13}, 6}, {1, 5, 4}, {0, 2, 1});
  Check({"", {}, {1, 1, 90}, 3, false}, {1, 1, 16}, {0, 0, 5});
  Check({"", {}, {4, 6, 5}}, {2, 3, 2}, {1, 0, 2});
  Check({"", {}, {1, 7, 7}}, {1, 16, 16}, {0, 20, 20});
}

}  // namespace
}  // namespace fovea
