// Agent attention: a few pooled queries stand between all queries and all keys.
//
// Han et al., "Agent Attention: On the Integration of Softmax and Linear Attention" (2023):
//   A = adaptive average pool of q over the grid, per head;
//   out = softmax(q Aᵀ / sqrt d) softmax(A kᵀ / sqrt d) v.
// Text and class tokens are not pooled, but are queries and keys. Cost: 8 n d a token for n agents:
// linear in the tokens. Not a softmax over keys: no log-sum-exp.
#pragma once

#include "attention/attention_op.h"

namespace fovea {

const AttentionOp& AgentAttention();

}  // namespace fovea
