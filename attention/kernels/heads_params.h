// What the host hands to the smaller attention kernels of a GPU: plain data, the same on both
// sides.
#pragma once

#include <cstdint>

#include "attention/kernels/tile/tile_params.h"

namespace fovea::cuda {

struct BiasedParams {
  const void *q, *k, *v;
  void* out;
  const float* bias;  // of head 0, query 0, key 0; keys are side by side
  HeadStrides q_at, k_at, v_at, out_at;
  int64_t bias_head, bias_query;  // strides, of either sign
  int tokens, keys, d, heads;
  float scale;
};

struct BlendParams {
  const void* x;
  void* out;
  HeadStrides x_at, out_at;  // x_at.token is 0 for one row for all
  int d, heads;
  int begin, rows;  // of out
  float share;
};

struct MixParams {
  const void* v;
  void* out;
  HeadStrides v_at, out_at;
  int tokens, d, heads;
  const MixRow* mix;
  const float* mean_v;
};

}  // namespace fovea::cuda
