// What the tile kernels are handed: one head's matrices, a map, scratch. Shared by the arithmetics
// in f32 (tile_f32_cpu.cc) and in bf16 dot products (tile_bf16_cpu.cc).
#pragma once

#include <cstddef>
#include <cstdint>

#include "attention/kernels/head_mix.h"
#include "attention/tiles/tile_map.h"

namespace fovea {

// One head of one sample. Strides are in elements, between tokens; elements are f32 or bf16.
struct HeadView {
  const std::byte *q, *k, *v, *extra_k, *extra_v;
  std::byte* out;
  float* lse;  // stride 1, or null
  HeadMix mix;
  const float* mean_v;  // what mix.e takes: d, or null
  int64_t q_stride, k_stride, v_stride, extra_k_stride, extra_v_stride, out_stride;
  const float* extra_terms;  // added to scaled scores of the extra keys, or null
  int64_t kv;  // keys before the extra ones
  int64_t d;
  bool bf16;
  float scale_log2;  // scale * log2(e); positive
};

// Where a key's row starts: among the sequence's own, or among the operator's extra ones.
inline const std::byte* KeyRow(const HeadView& head, int32_t token, const std::byte* own,
                               int64_t stride, const std::byte* extra, int64_t extra_stride) {
  const int64_t size = head.bf16 ? 2 : 4;
  return token < head.kv ? own + token * stride * size
                         : extra + (token - head.kv) * extra_stride * size;
}

// Neighbouring query tiles that visit the same key tiles: each key tile is packed once for all.
struct TileGroup {
  int32_t first = 0, count = 0;
};

// What the same thread will do after this group, so that its queries can be brought near; or null.
struct TileUpcoming {
  const HeadView* head = nullptr;
  const TileMap* map = nullptr;  // of that head
  TileGroup group;
};

// A thread's scratch, 64-byte aligned. Matrices are kTileTokens columns wide, queries along rows of
// memory; elements are f32 or pairs of bf16, so four bytes all the same.
struct TileScratch {
  static constexpr int64_t kState = 4 * kTileTokens;  // floats of vectors, a query tile
  static int64_t Floats(int64_t d, int group) {
    const int64_t tile = d * kTileTokens;
    return group * (2 * tile + kState) + 2 * tile + kTileTokens * kTileTokens + kState;
  }
  TileScratch(float* base, int64_t d, int group) {
    const int64_t tile = d * kTileTokens;
    p = base;
    k = p + kTileTokens * kTileTokens;
    v = k + tile;
    tile_max = v + tile;
    alpha = tile_max + kTileTokens;
    q = tile_max + kState;
    o = q + group * tile;
    max = o + group * tile;
    sum = max + group * kTileTokens;
  }

  float* p;                 // Sᵀ, then Pᵀ: keys x queries
  float *k, *v;             // the key tile: rows are keys, or pairs of keys
  float *tile_max, *alpha;  // largest score in this tile; what earlier sums are multiplied by
  float *q, *o;             // Qᵀ and Oᵀ of each query tile: d x queries
  float *max, *sum;         // of each query: times log2(e); relative to max
};

using TileKernel = void (*)(const HeadView& head, const TileMap& map, TileGroup group,
                            const TileUpcoming& upcoming, const TileScratch& scratch);

TileKernel F32TileKernel();
// Null where the processor lacks bf16 dot products, or has them slower than f32 multiply-adds.
TileKernel Bf16TileKernel();

}  // namespace fovea
