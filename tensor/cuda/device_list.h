// Which GPUs are there, and which of them can compute for us?
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tensor/cuda/driver.h"

namespace fovea::cuda {

struct DeviceInfo {
  int index = 0;
  std::string name;
  int major = 0, minor = 0;  // compute capability
  int multiprocessors = 0, clock_khz = 0;
  size_t bytes = 0, l2_bytes = 0, shared_bytes = 0;  // memory; cache; shared memory of a block
  std::string problem;                               // why it cannot be used; empty: it can
};

struct DeviceList {
  std::string problem;     // why there is none; empty: `devices` is what the driver lists
  int driver_version = 0;  // 13000 for CUDA 13.0; 0: no driver
  std::vector<DeviceInfo> devices;
};

// Loads nothing but the driver.
DeviceList ListDevices(const DriverSearch& search);

// Throws kDevice where this build has no kernels, or for a device that is not there or too old.
void EnsureUsable(const Driver& driver, int index);

// Architectures that this build has kernels for, as "sm_80 sm_90a compute_80"; empty: none, since
// it was made without nvcc.
std::string KernelArchitectures();
size_t KernelBytes();  // of all images

}  // namespace fovea::cuda
