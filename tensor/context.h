// What every forward pass is handed: where to compute, where to put activations, when to stop.
#pragma once

#include <stop_token>

#include "tensor/backend.h"
#include "tensor/memory/arena.h"

namespace fovea {

struct Context {
  Backend& backend;
  Arena& arena;
  std::stop_token stop = {};
  DType dtype = DType::kF32;  // of activations: kF32 or kBF16
  // Weights of f32 files are held in bf16. So they are for bf16 activations in any case.
  bool narrow_weights = false;

  // Models ask between blocks and return early; the caller then discards the output.
  bool Cancelled() const { return stop.stop_requested(); }
  Tensor New(const Shape& shape) { return arena.New(shape, dtype); }
};

}  // namespace fovea
