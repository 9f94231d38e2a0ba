// What the tests of operations share: random tensors, poisoned outputs, every instruction set and
// number of threads, comparison with the references.
#pragma once

#include <hwy/targets.h>
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tensor/context.h"
#include "tensor/machine/threads.h"
#include "tensor/memory/host_tensor.h"
#include "tests/reference/reference_ops.h"
#include "tests/support/worst.h"

namespace fovea {

// What products and convolutions compute in, on every processor.
constexpr DType kActivationTypes[] = {DType::kF32, DType::kBF16};

class OpTest {
 public:
  OpTest() : backend(MakeCpuBackend()), arena(*backend, size_t{64} << 20), ctx{*backend, arena} {}

  std::unique_ptr<Backend> backend;
  Arena arena;
  Context ctx;
};

inline void Put(Tensor& t, int64_t i, float value) {
  switch (t.dtype) {
    case DType::kF32:
      static_cast<float*>(t.data)[i] = value;
      return;
    case DType::kBF16:
      static_cast<BFloat16*>(t.data)[i] = ToBFloat16(value);
      return;
    case DType::kF16:
      static_cast<Float16*>(t.data)[i] = ToFloat16(value);
      return;
    default:
      FAIL("not a float type");
  }
}

// Normal values with this standard deviation and mean.
inline HostTensor Random(const Shape& shape, DType dtype, unsigned seed, float deviation = 1,
                         float mean = 0) {
  HostTensor tensor(shape, dtype);
  Tensor view = tensor.View();
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(mean, deviation);
  for (int64_t i = 0; i < tensor.NumElements(); ++i) Put(view, i, normal(generator));
  return tensor;
}

// NaN everywhere: what an operation forgets to write is seen.
inline HostTensor Poisoned(const Shape& shape, DType dtype) {
  HostTensor tensor(shape, dtype);
  std::memset(tensor.data(), 0xff, tensor.Bytes());
  return tensor;
}

// Runs `body` for every instruction set that this processor has and we compile, with 1 and 2
// threads.
inline void ForEachTarget(const std::function<void()>& body) {
  const int before = NumThreads();
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    for (const int threads : {1, 2}) {
      INFO("target " << hwy::TargetName(target) << ", " << threads << " threads");
      hwy::SetSupportedTargetsForTest(target);
      SetNumThreads(threads);
      body();
    }
  }
  hwy::SetSupportedTargetsForTest(0);
  SetNumThreads(before);
}

struct Deviation {
  double relative_l2 = 0;
  double max = 0;  // each over max(1, its own size, the root mean square of what is wanted)
};

inline Deviation Compare(const Tensor& got, const Reference& want) {
  REQUIRE(got.shape == want.shape);
  const Reference values = Reference::Of(got);
  double difference = 0, square = 0;
  for (const double w : want.v) square += w * w;
  const double rms = std::sqrt(square / std::max<double>(1, double(want.v.size())));
  Worst worst;
  for (size_t i = 0; i < want.v.size(); ++i) {
    const double d = std::fabs(values.v[i] - want.v[i]);
    difference += d * d;
    worst.Add(values.v[i], want.v[i], std::max({1.0, rms, std::fabs(want.v[i])}));
  }
  return {square > 0 ? std::sqrt(difference / square) : std::sqrt(difference), worst.Value()};
}

// Limits: f32 carries 24 bits and sums of some hundred terms; bf16 outputs are rounded to 8 bits.
#define REQUIRE_CLOSE(got, want) REQUIRE_WITHIN(got, want, 6e-6)
// `f32_max` bounds the largest deviation of f32 results.
#define REQUIRE_WITHIN(got, want, f32_max)                            \
  do {                                                                \
    const bool half_precision = (got).dtype != DType::kF32;           \
    const Deviation deviation = Compare(got, want);                   \
    REQUIRE(deviation.relative_l2 <= (half_precision ? 4e-3 : 1e-6)); \
    REQUIRE(deviation.max <= (half_precision ? 1e-2 : (f32_max)));    \
  } while (false)

}  // namespace fovea
