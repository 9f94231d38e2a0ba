// How much memory does a run take outside of the arena and of packed weights?
#pragma once

#include <cstddef>

#include "models/weight_store.h"
#include "pipelines/settings/settings.h"
#include "tensor/shape.h"

namespace fovea {

// The program without models: code, libraries, threads, oneDNN's kernels. Measured.
constexpr size_t kBaselineBytes = size_t{32} << 20;

// Bytes of latents and pictures in one pass. `latents`: (n,c,h,w). `from_picture`: whether the pass
// starts from a given picture.
size_t HostBytes(const Shape& latents, const GenerateSettings& settings, bool from_picture);

// Bytes of norms and biases that are read in the mapped file, whose pages then stay. Matrices are
// in the cost of a dry run; tables of embeddings do not count, because few of their rows are read.
size_t VectorsReadInPlace(const WeightStore& weights);

}  // namespace fovea
