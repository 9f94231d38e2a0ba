// What the host hands to the tile kernels of a GPU: plain data, the same on both sides.
#pragma once

#include <cstdint>

namespace fovea::cuda {

inline constexpr int kTile = 64;  // tokens

struct TilePair {
  int32_t first, second;
};

// A TileMap in device memory.
struct MapTable {
  const TilePair* rows;      // of query tiles: [first, second) in visits
  const TilePair* visits;    // key tile, mask or -1
  const TilePair* q_tiles;   // begin in q_tokens, count
  const TilePair* kv_tiles;  // begin in kv_tokens, count
  const int32_t *q_tokens, *kv_tokens;
  const uint64_t* masks;  // [mask * 64 + query]: bit j is key j
  int32_t row_count;
};

// HeadMix with its rows.
struct MixRow {
  float a, b, e;
  int32_t begin, end;
};

struct HeadStrides {
  int64_t sample, token, head;  // in elements
};

struct TileAttentionParams {
  const void *q, *k, *v, *extra_k, *extra_v;
  void* out;
  float* lse;  // or null; tokens are side by side
  HeadStrides q_at, k_at, v_at, extra_k_at, extra_v_at, out_at, lse_at;
  int64_t kv;  // keys before the extra ones
  int d, heads;
  const MapTable* maps;
  int one_map;               // 1: the same for all; 0: one for each sample and head
  const float* extra_terms;  // or null
  const MixRow* mix;         // of each sample and head, or null
  const float* mean_v;       // (b, heads, d), with mix
  float scale_log2;          // scale * log2(e)
};

struct MeanValuesParams {
  const void* v;
  HeadStrides v_at;
  int64_t tokens;
  int d, heads;
  float* mean;
};

}  // namespace fovea::cuda
