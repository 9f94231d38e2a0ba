// The noise that --init-latents names.
#pragma once

#include <string>

#include "tensor/memory/host_tensor.h"

namespace fovea {

// Tensor `latents` of a safetensors file, f32. Throws kBadFile.
HostTensor ReadInitLatents(const std::string& path);

}  // namespace fovea
