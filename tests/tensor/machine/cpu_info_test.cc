#include "tensor/machine/cpu_info.h"

#include <catch2/catch.hpp>

namespace fovea {

TEST_CASE("the measured peak is a plausible number") {
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    const double gflops = MeasurePeakGflops(dtype);
    CHECK(gflops > 0.1);  // also refuses NaN
    CHECK(gflops < 1e6);
  }
}

}  // namespace fovea
