// Running a kernel over a grid, and what it did.
#pragma once

#include <cstdint>

#include "tests/ptx/device_memory.h"
#include "tests/ptx/kernel.h"

namespace fovea::ptx {

struct Dim3 {
  uint32_t x = 1, y = 1, z = 1;
};

// A profiler for the poor: asserted in tests.
struct Counters {
  uint64_t warp_instructions = 0, matrix_products = 0, barriers = 0;
  // Shared memory: requests, wavefronts that they took, and those of a request without conflicts.
  uint64_t shared_requests = 0, shared_wavefronts = 0, shared_ideal = 0;
  // Global memory: 32-byte sectors touched, and as few as the bytes need.
  uint64_t global_sectors = 0, global_ideal = 0, global_bytes = 0;
};

enum class WarpOrder { kForward, kReverse, kShuffled };

struct LaunchOptions {
  bool check = true;  // ordering, races and counters; places and alignment are checked always
  WarpOrder order = WarpOrder::kForward;
  uint64_t max_instructions = ~uint64_t{0};  // of a block's warps, then it is an endless loop
};

// `parameters` are laid out as the kernel declares them. Throws PtxError.
void Launch(const Kernel& kernel, DeviceMemory& memory, Dim3 grid, Dim3 threads,
            uint32_t dynamic_shared, const void* parameters, const LaunchOptions& options,
            Counters& counters);

}  // namespace fovea::ptx
