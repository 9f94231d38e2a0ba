// Exact attention over a tile map with an online softmax: the scores never reach memory.
//
// Dao et al., "FlashAttention" (2022); Milakov & Gimelshein, "Online normalizer calculation for
// softmax" (2018). On the CPU the lanes of a vector are queries: scores are kept transposed
// (keys x queries), so maxima and sums need no shuffles, keys and values are read as broadcasts,
// and any head size and token order works.
#pragma once

#include "attention/attention_op.h"
#include "attention/tile_map.h"

namespace fovea {

// out = softmax(scale * q kᵀ restricted to the map) v for every batch and head; layouts at
// AttentionIo. q, k, v, out are f32 or bf16 alike; scores and sums are f32. A query that sees
// nothing gives 0 and lse -infinity; NaN in a query or in a key that it sees gives NaN. scale > 0.
// Scratch comes from ctx.arena: per thread, independent of the token count. The result does not
// depend on the number of threads. FLOPs: 4 d for each visited pair.
void TileAttentionCpu(Context& ctx, const TileMap& map, float scale, const AttentionIo& io);

}  // namespace fovea
