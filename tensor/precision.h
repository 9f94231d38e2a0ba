// What does a dtype that a person asks for mean on this processor?
#pragma once

#include <stop_token>

#include "tensor/context.h"
#include "tensor/dtype.h"

namespace fovea {

// `--dtype bf16` on a processor without bf16 arithmetic is a matter of weights alone: those of an
// f32 file are held in bf16, and values and sums are f32. Weights of 16 bits stay as their file has
// them, whatever is asked for.
struct Precision {
  DType arithmetic = DType::kF32;   // what products take; sums are f32
  DType activations = DType::kF32;  // Context::dtype
  bool narrow_weights = false;      // Context::narrow_weights
};

// `asked`: kF32 or kBF16; on a GPU kF16, too, and all is computed in it as it was asked for. A pure
// function of it and of UsedInstructionSet.
Precision PrecisionOf(DType asked, DeviceKind device = DeviceKind::kCpu);
// A context that computes so.
Context MakeContext(Backend& backend, Arena& arena, std::stop_token stop, DType asked);

}  // namespace fovea
