// The attention of one whole call, or of a part of it, as one matrix, whatever operators its heads
// ran under and whatever was done to them.
#pragma once

#include <memory>

#include "attention/attention_listener.h"

namespace fovea {

// Samples and heads are the call's. Perturbed heads give the rows that made their output. Valid
// until the listener returns: it views the call. Takes what the operators prepare for it: pooled
// keys, merged tokens, the rows of agents.
std::unique_ptr<AttentionMatrix> MatrixOf(Context& ctx, const AttentionCall& call);

// The same of one part, whose samples and heads count from 0. Views the part.
std::unique_ptr<AttentionMatrix> MatrixOf(Context& ctx, const AttentionPart& part);

}  // namespace fovea
