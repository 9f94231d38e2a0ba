// The backend of a device that is chosen by name.
#pragma once

#include <memory>

#include "tensor/backend.h"

namespace fovea {

// Throws kDevice for a device that this build lacks.
std::unique_ptr<Backend> MakeBackend(DeviceKind device);

}  // namespace fovea
