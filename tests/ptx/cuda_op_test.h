// What tests of the CUDA backend share: a backend on the emulated device, tensors on it.
#pragma once

#include <cstdlib>
#include <memory>

#include "tensor/cuda/cuda_backend.h"
#include "tensor/ops/elementwise.h"
#include "tests/ptx/emulated_device.h"
#include "tests/tensor/op_test.h"

namespace fovea::ptx {

// With FOVEA_TEST_GPU in the environment the same tests run on a real GPU (scripts/gpu-check);
// those of the emulated device alone then say nothing.
inline bool OnGpu() {
  return std::getenv("FOVEA_TEST_GPU") != nullptr;
}

inline const cuda::Driver& TestDriver() {
  if (!OnGpu()) return EmulatedDriver();
  static const cuda::DriverSearch search = cuda::OpenDriver();
  if (!search.driver) throw Error(ErrorCode::kDevice, search.problem);
  return *search.driver;
}

class CudaOpTest {
 public:
  CudaOpTest()
      : backend((TheEmulated().Clear(),
                 MakeCudaBackend(std::make_unique<cuda::Device>(TestDriver(), 0)))),
        arena(*backend, size_t{4} << 20),
        ctx{*backend, arena} {}

  std::unique_ptr<Backend> backend;
  Arena arena;
  Context ctx;

  // On the device; lives until the arena is released.
  Tensor Put(const HostTensor& host) {
    const Tensor t = arena.New(host.shape(), host.dtype());
    ops::Copy(ctx, host.View(), t);
    return t;
  }
  // NaN everywhere.
  Tensor Out(const Shape& shape, DType dtype) { return Put(Poisoned(shape, dtype)); }
  HostTensor Get(const Tensor& t) {
    HostTensor host(t.shape, t.dtype);
    ops::Copy(ctx, t, host.View());
    return host;
  }
};

constexpr DType kCudaTypes[] = {DType::kF32, DType::kBF16, DType::kF16};

// f32 as on the processor; bf16 keeps 8 bits, f16 11.
inline void RequireClose(const HostTensor& got, const Reference& want, double f32_max = 6e-6) {
  const Deviation deviation = Compare(got.View(), want);
  const DType dtype = got.dtype();
  REQUIRE(deviation.relative_l2 <= (dtype == DType::kF32    ? 1e-6
                                    : dtype == DType::kBF16 ? 4e-3
                                                            : 5e-4));
  REQUIRE(deviation.max <= (dtype == DType::kF32 ? f32_max : dtype == DType::kBF16 ? 1e-2 : 2e-3));
}

// Says nothing of builds without nvcc.
#define FOVEA_NEEDS_KERNELS()                             \
  if (!HasKernels()) {                                    \
    WARN("no kernels: this build was made without nvcc"); \
    return;                                               \
  }

#define FOVEA_EMULATED_ONLY() \
  if (OnGpu()) return

}  // namespace fovea::ptx
