// The rows of perturbed heads (perturbation.h): an operator's rows, mixed or replaced.
#pragma once

#include <memory>

#include "attention/attention_listener.h"

namespace fovea {

// Of a part that is mixed or has a stand-in. Views the part.
std::unique_ptr<AttentionMatrix> PerturbedMatrix(Context& ctx, const AttentionPart& part);

}  // namespace fovea
