// Radial attention: frames see each other in bands that halve as their distance doubles.
//
// Li et al., "Radial Attention: O(n log n) Sparse Attention with Energy Decay for Long Video
// Generation" (2025). `model=wan|hunyuan` is the official block map of the authors' code, shared by
// heads, over blocks of 64 or 128 tokens in frame-major order:
//   d = |i - j| frames apart, T tokens a frame, L = 2^bits(T) / 2^bits(d);
//   half-width T for d = 0 (and for d = 1 with ring=full; T div 2 with ring=half), else
//   max(L * decay, block); pairs with L < 128 are kept only where d mod (128 div L) is 0; for wan,
//   everything sees frame 0. A block is kept if more than 60 % of its touched columns are more than
//   a third full.
// On one frame that map is dense. `model=2d` is ours, not the paper's: tiles of the picture at
// offset (dy, dx), p = 2^floor(log2 max(|dy|,|dx|,1)), are seen if max <= 1 or, rule=half, p
// divides |dy| + |dx|; rule=lattice, p divides both. Refuses grids that are not a multiple of the
// block.
#pragma once

#include <cstdint>
#include <vector>

#include "attention/attention_op.h"

namespace fovea {

const AttentionOp& RadialAttention();

struct RadialMapSettings {
  bool sink = true;  // wan
  bool full_ring = true;
  double decay = 1;
  int block = 128;
};
// The official map over `frames` frames of `tokens` tokens: blocks x blocks, row-major, 1 = kept.
std::vector<uint8_t> RadialBlockMap(int frames, int tokens, const RadialMapSettings& settings);

}  // namespace fovea
