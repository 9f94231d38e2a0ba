// Token merging on a grid: which tokens are alike, and sequences in which those are one.
//
// Bolya & Hoffman, "Token Merging for Fast Stable Diffusion" (2023). One token of each cell is a
// destination; every other token is compared with all destinations by the cosine, and the most
// similar ones are merged into their best destination, as means.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tensor/context.h"

namespace fovea {

struct TokenMatching {
  std::vector<int32_t> destinations;  // one token of each cell, cells row-major
  std::vector<int32_t> sources;       // the other tokens, most similar first; equal ones in order
  std::vector<int32_t> best;          // of each source, the index of its destination
};

// Tokens (t) as merged tokens: first the destinations, then the sources that stay on their own.
struct TokenGroups {
  std::vector<int32_t> group;           // of each token
  std::vector<int32_t> begin, members;  // of each group: members[begin[g] .. begin[g + 1])
  int64_t Count() const { return static_cast<int64_t>(begin.size()) - 1; }
};

// `x` (t,parts,d) f32 or bf16: a token's vector is all its parts. `destinations` hold the tokens
// that others may be merged into. Compares in f32: 2 (t - m) m c FLOPs for m destinations of c
// values. A token that is zero or not a number is like none. Scratch comes from ctx.arena; under
// the PlanningBackend nothing is matched.
TokenMatching MatchTokens(Context& ctx, const Tensor& x, std::vector<int32_t> destinations);

// The first `merged` sources become one with their destinations.
TokenGroups GroupTokens(const TokenMatching& matching, int64_t merged);

// Means over groups: x (t,heads,d) -> out (groups,heads,d), of one dtype, strided.
void MergeTokens(Context& ctx, const Tensor& x, const TokenGroups& groups, const Tensor& out);

// out (t,heads,d) = rows of x (groups,heads,d), each token that of its group.
void UnmergeTokens(Context& ctx, const Tensor& x, const TokenGroups& groups, const Tensor& out);

// out += share * x, element by element; both contiguous, f32 or bf16 alike.
void AddShare(Context& ctx, const Tensor& x, float share, const Tensor& out);

}  // namespace fovea
