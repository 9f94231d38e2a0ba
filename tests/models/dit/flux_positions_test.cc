#include "models/dit/flux_positions.h"

#include <catch2/catch.hpp>
#include <cmath>

namespace fovea {
namespace {

TEST_CASE("a grid is found in its ids, wherever it lies and however wide its steps are") {
  for (const auto& [h, w] : {std::pair<int64_t, int64_t>{1, 1}, {1, 7}, {7, 1}, {3, 5}, {8, 8}}) {
    std::vector<float> ids = FluxGridIds(h, w);
    CHECK(FluxGridOf(ids) == std::pair{h, w});
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = ids[i] * 1.5f + 0.25f;
    CHECK(FluxGridOf(ids) == std::pair{h, w});
  }
}

TEST_CASE("ids that are of no grid are not taken for one") {
  std::vector<float> ids = FluxGridIds(3, 4);
  std::swap(ids[1], ids[3 * 5 + 1]);  // two rows exchanged in one column
  CHECK(!FluxGridOf(ids));
  ids = FluxGridIds(3, 4);
  ids[3 * 11 + 2] = 9;
  CHECK(!FluxGridOf(ids));
  ids = FluxGridIds(3, 4);
  ids[0] = 1;  // of another picture
  CHECK(!FluxGridOf(ids));
  ids = FluxGridIds(3, 4);
  ids.resize(3 * 11);
  CHECK(!FluxGridOf(ids));
  CHECK(!FluxGridOf(std::vector<float>(12, 0)));  // all at one place
  CHECK(!FluxGridOf({}));
}

TEST_CASE("angles are the position times a power of the base for each axis") {
  const std::vector<float> ids{0, 0, 0, 2, 3, 5};
  for (const double ntk : {1.0, 10.0}) {
    const HostTensor tables = FluxRotation(ids, {2, 4, 4}, ntk);
    CHECK(tables.shape() == Shape{2, 2, 10});
    const double slow = std::sqrt(10000 * ntk), angles[] = {2, 3, 3 / slow, 5, 5 / slow};
    for (int pair = 0; pair < 5; ++pair) {
      const float *first = tables.Data<float>() + 2 * pair, *second = first + 20;
      CHECK(first[0] == 1.0f);
      CHECK(first[10] == 0.0f);
      CHECK(second[0] == Approx(std::cos(angles[pair])));
      CHECK(second[1] == second[0]);
      CHECK(second[11] == Approx(std::sin(angles[pair])));
      CHECK(second[10] == -second[11]);
    }
  }
}

}  // namespace
}  // namespace fovea
