// The parameters of a Vision Transformer, for the passes forward and back.
#pragma once

#include <cstdint>
#include <vector>

#include "models/layers.h"
#include "models/vit/vit_block.h"

namespace fovea {

struct VitModules {
  Weight patches;
  HostTensor prefix;  // (prefix tokens,c) f32: tokens before the patches, positions added
  Tensor positions;   // (grid,c) f32: of the patches at the model's own size
  LayerNorm pre_norm, norm;
  std::vector<VitBlock> blocks;
  Weight head, second_head;
  std::vector<HostTensor> halves;  // of two heads, whose mean is the result
  // The positions of the grid that was asked for last, where it is not the model's own.
  mutable HostTensor resized;
  mutable int64_t resized_height = 0, resized_width = 0;
};

}  // namespace fovea
