// Agent attention for trained U-Nets, without training: merged tokens, and agents merged further.
//
// Han et al., "Agent Attention: On the Integration of Softmax and Linear Attention" (2023), its
// form for Stable Diffusion, over the token merging of Bolya & Hoffman (2023). On N tokens:
//   one destination for each cell of sy x sx; r = int(N ratio) tokens are merged for q, k and v,
//   a = int(N agents) for the agents A, which are merged queries; both at most all other tokens;
//   if 2 (N - a) < N - r: out = softmax(s^scale2 q Aᵀ) softmax(s A kᵀ) v + k v, s = 1/sqrt(d),
//   else: out = softmax(s q kᵀ) v over the merged tokens; each token then takes its group's row.
// The means commute with the projections, so q, k and v are merged instead of what they come from.
// Tokens are compared by AttentionIo::hidden, as the authors do, or, without it, by their keys.
// The destinations are drawn from the picture's seed, the step and the layer (the authors draw from
// the program's own generator, so pictures differ from theirs), or, random=off, are the upper left
// ones. Cost: 2 N^2 c / (sx sy) for the comparison, 8 (N - r) (N - a) d a head with agents,
// 4 (N - r)^2 d without. No log-sum-exp. Refuses text tokens, several frames, grids below one cell.
#pragma once

#include <cstdint>

#include "attention/attention_op.h"

namespace fovea {

const AttentionOp& AgentSdAttention();

// How many tokens remain of `tokens`, of which `cells` are destinations.
struct AgentSdCounts {
  int64_t tokens = 0, agents = 0;
  bool with_agents = false;
};
AgentSdCounts CountAgentSd(int64_t tokens, int64_t cells, double ratio, double agents);

}  // namespace fovea
