// Exact attention over a tile map with an online softmax: the scores never reach memory.
//
// Dao et al., "FlashAttention" (2022); Milakov & Gimelshein, "Online normalizer calculation for
// softmax" (2018). On the CPU the lanes of a vector are queries: scores are kept transposed
// (keys x queries), so maxima and sums need no shuffles, keys and values are read as broadcasts,
// and any head size and token order works.
#pragma once

#include <span>

#include "attention/kernels/head_mix.h"
#include "attention/tiles/tile_map.h"
#include "tensor/context.h"

namespace fovea {

// q, out (b,t,heads,d); k, v (b,kv,heads,d). Strided, the last axis dense; f32 or bf16 alike.
struct TileCall {
  Tensor q, k, v, out;
  Tensor lse{};                 // (b,heads,t) f32 or empty: natural log of the sum of exponentials
  Tensor extra_k{}, extra_v{};  // (b,n,heads,d) more keys, indexed after k's; or empty
  // Added to the scaled scores of each extra key: ln of how many keys it stands for; or empty.
  std::span<const float> extra_terms{};
  std::span<const HeadMix> mix{};  // batch * heads, or empty; v then has a row for each query
};

// out = softmax(scale * q kᵀ restricted to the map) v for every sample and head; scores and sums
// are f32. A query that sees nothing gives 0 and lse -infinity; NaN in a query or in a key that it
// sees gives NaN. Where a mix has a = 0 the softmax is not evaluated and lse is NaN (a row whose
// tile holds rows outside of HeadMix::rows has its lse all the same). scale > 0. Scratch comes from
// ctx.arena: per thread, independent of the token count. The result does not depend on the number
// of threads. FLOPs: 4 d for each visited pair.
void TileAttention(Context& ctx, const TileMap& map, float scale, const TileCall& call);

// The same with a map for each sample and head.
void TileAttention(Context& ctx, const TileMaps& maps, float scale, const TileCall& call);

}  // namespace fovea
