// The operations of backend.h on a GPU, with our own kernels alone.
#pragma once

#include <memory>

#include "tensor/backend.h"
#include "tensor/cuda/device.h"
#include "tensor/cuda/table_cache.h"
#include "tensor/planning_backend.h"

namespace fovea {

// Activations are f32 (multiplied in f32, never in TF32), bf16 or f16. Host tensors may be given
// for parameters, tables and either side of a copy.
std::unique_ptr<Backend> MakeCudaBackend(std::unique_ptr<cuda::Device> device);

// What kernels outside of this layer launch through. `backend` was made by MakeCudaBackend.
struct DeviceAccess {
  cuda::Device& device;
  cuda::TableCache& tables;
};
DeviceAccess AccessOf(Backend& backend);

std::unique_ptr<PlanningBackend> MakeCudaPlanningBackend(Backend& real);

}  // namespace fovea
