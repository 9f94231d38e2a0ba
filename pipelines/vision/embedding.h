// The vector that stands for a picture or a text, taken from what its network gives.
#pragma once

#include <initializer_list>

#include "pipelines/forward/forward.h"

namespace fovea {

// The first row of the first of these outputs that there is; empty if there is none, as after
// cancelling. Outputs are (1,dim) or (1,t,dim) f32.
HostTensor EmbeddingOf(const NamedTensors& outputs,
                       std::initializer_list<const char*> names);  // (dim)

}  // namespace fovea
