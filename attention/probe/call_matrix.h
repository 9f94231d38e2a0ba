// The attention of one whole call as one matrix, whatever operators its heads ran under.
#pragma once

#include <memory>

#include "attention/attention_listener.h"

namespace fovea {

// Samples and heads are the call's. Mixed heads (AttentionIo::mix) give their mixed rows. Valid
// until the listener returns: it views the call. Takes what the operators prepare for it: pooled
// keys, merged tokens, the rows of agents.
std::unique_ptr<AttentionMatrix> MatrixOf(Context& ctx, const AttentionCall& call);

}  // namespace fovea
