// Exact attention by tiles with an online softmax: the scores never reach memory.
//
// Dao et al., "FlashAttention" (2022); Milakov & Gimelshein, "Online normalizer calculation for
// softmax" (2018). On the CPU the lanes of a vector are queries: scores are kept transposed
// (keys x queries), so maxima and sums need no shuffles, keys and values are read in place as
// broadcasts, and any head size works.
#pragma once

#include "attention/attention_op.h"

namespace fovea {

// out = softmax(scale * q kᵀ) v for every batch and head; layouts at AttentionIo. q, k, v, out are
// f32 or bf16 alike; scores and sums are f32. With `causal`, query i sees keys 0..i. Scratch comes
// from ctx.arena (per thread, independent of the token count). Deterministic: the partition of the
// work does not change any sum. FLOPs: 4 batch heads t kv d.
void TileAttentionCpu(Context& ctx, const AttentionIo& io, float scale, bool causal);

}  // namespace fovea
