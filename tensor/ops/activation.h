// Pointwise activations, plain and gated.
#pragma once

#include "tensor/context.h"

namespace fovea::ops {

// out = act(x); out may be x. Contiguous.
void Activate(Context& ctx, const Tensor& x, Act act, const Tensor& out);
// x (.., 2c) -> out (.., c): x[.., :c] * act(x[.., c:]). GEGLU is act = kGeluErf.
void GatedAct(Context& ctx, const Tensor& x, Act act, const Tensor& out);

}  // namespace fovea::ops
