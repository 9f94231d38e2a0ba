// Rows of softmax operators, from queries, keys and what the operator's tile map lets be seen.
#pragma once

#include <memory>
#include <vector>

#include "attention/attention_op.h"
#include "attention/tiles/tile_map.h"
#include "tensor/memory/host_tensor.h"

namespace fovea {

// What an operator adds to the sequence's own keys, as sums of these: a key's weight is shared out.
struct FoldedKeys {
  std::vector<int32_t> begin{0}, tokens;  // of each: tokens[begin[i] .. begin[i + 1])
  std::vector<float> weights;             // of each token
};

struct SoftmaxSource {
  Tensor q = {}, k = {};  // (b,t,heads,d), (b,n,heads,d) as AttentionIo's
  Tensor lse = {};        // (b,heads,t) f32, or empty: columns then take all rows
  Tensor bias = {};       // (heads,t,n) f32 added to scaled scores, or empty
  float scale = 1;
  const TileMap* map = nullptr;               // of all samples and heads, or
  std::shared_ptr<const TileMaps> maps = {};  // of each; queries are cut alike in all
  bool causal = false;
  Tensor extra_k = {};  // (b,extra,heads,d): what `folded` says, or empty
  std::vector<float> extra_terms = {};  // added to the scaled scores of extra keys, or empty
  FoldedKeys folded = {};
  std::vector<HostTensor> owned = {};  // what the tensors above view, where nobody else keeps it
};

// row_i = softmax(scale * q_i kT + bias) over the keys that the map shows to i.
std::unique_ptr<AttentionMatrix> SoftmaxMatrix(SoftmaxSource source);

// `left` (t x n) times `right` (n x kv): agents between queries and keys. The rows of `right` are
// computed once and kept: samples * heads * n * kv floats.
std::unique_ptr<AttentionMatrix> ProductMatrix(std::unique_ptr<AttentionMatrix> left,
                                               const AttentionMatrix& right);

}  // namespace fovea
