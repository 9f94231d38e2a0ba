// What a run is given beside its settings: tensors and pictures.
#pragma once

#include "tensor/host_tensor.h"

namespace fovea {

// Nothing here is owned; null: not given.
struct GenerateInputs {
  const HostTensor* init_latents = nullptr;  // unit noise (n,c,h,w), as product.md's --init-latents
};

}  // namespace fovea
