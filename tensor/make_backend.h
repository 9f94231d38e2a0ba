// The backend of a device that is chosen by name.
#pragma once

#include <memory>

#include "tensor/backend.h"

namespace fovea {

// `index`: of the GPU. Throws kDevice for a device that is not there or that this build has no
// kernels for. The driver is opened for kCuda alone.
std::unique_ptr<Backend> MakeBackend(DeviceKind device, int index = 0);

// The same refusals without making anything.
void EnsureDevice(DeviceKind device, int index = 0);

}  // namespace fovea
