#include "tensor/weights/weight_limit.h"

#include <catch2/catch.hpp>

#include "tests/support/error_code.h"

namespace fovea {

TEST_CASE("what a limit of memory leaves for weights") {
  Cost cost;
  cost.packed_bytes = 500;
  cost.in_place_bytes = 100;
  cost.largest_weight = 70;
  CHECK_FALSE(WeightLimit(1600, 1000, cost).has_value());
  CHECK(WeightLimit(1599, 1000, cost) == size_t{529});
  CHECK(WeightLimit(1070, 1000, cost) == size_t{0});
  CHECK(CodeOf([&] { WeightLimit(1069, 1000, cost); }) == ErrorCode::kOutOfMemory);
}

}  // namespace fovea
