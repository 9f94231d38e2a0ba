// Agent attention: a few pooled queries stand between all queries and all keys.
//
// Han et al., "Agent Attention: On the Integration of Softmax and Linear Attention" (2023):
//   A = adaptive average pool of q over the grid, per head;
//   out = softmax(q Aᵀ / sqrt d) softmax(A kᵀ / sqrt d) v.
// Text and class tokens are not pooled, but are queries and keys. Cost: 8 n d a token for n agents:
// linear in the tokens. Not a softmax over keys: no log-sum-exp.
//
// A network that was trained with it says so (AttentionSite::trained) and brings, in
// AttentionIo::weights, for its own number of agents n (f32, heads of the whole layer):
//   agent.bias  (heads,n,tokens)  added to the scores of agents and keys
//   query.bias  (heads,tokens,n)  added to the scores of queries and agents
//   dwc.weight  (heads*d,1,3,3), dwc.bias (heads*d)  a convolution of v over the grid, channel by
//               channel, that is added to the output
#pragma once

#include "attention/attention_op.h"

namespace fovea {

const AttentionOp& AgentAttention();

}  // namespace fovea
