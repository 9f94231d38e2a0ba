// What a run is given beside its settings: tensors and pictures.
#pragma once

#include "pipelines/pictures/image.h"
#include "tensor/memory/host_tensor.h"

namespace fovea {

// Nothing here is owned; null: not given.
struct GenerateInputs {
  const HostTensor* init_latents = nullptr;  // unit noise (n,c,h,w), as product.md's --init-latents
  const Image* image = nullptr;              // of any size; as GenerateSettings::image says
  const Image* mask = nullptr;               // its white part is made anew; with a picture only
};

}  // namespace fovea
