// The way back through a Vision Transformer: how a number made of its pooled output changes with
// every attention weight.
//
// Backpropagation of activations, none of weights. Blocks are computed again from what they were
// given, with what the tape kept of their attention: dy/dA[i,j] = dO_i . v_j, O the heads' outputs
// before their projection, and dS = scale * A (dA - sum_j A dA) for the scores. Matrices of
// attention exist for some rows of one head at a time. Always in f32.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "attention/probe/kept_attention.h"
#include "models/vit/vision_transformer.h"

namespace fovea {

// Keeps what the way back needs of a pass in f32, of sample 0 of its batch: queries, keys, values
// and outputs of every layer. Throws kUnsupported, naming layer and operator, for attention that is
// not a softmax over keys of the layer's own: pooled keys, agents, merged tokens, mixed heads.
class VitTape final : public AttentionListener {
 public:
  void Attended(Context& ctx, const AttentionCall& call) override;
  std::span<const std::unique_ptr<KeptAttention>> Layers() const { return layers_; }
  const HostTensor& Output(size_t layer) const { return outputs_[layer]; }  // (t,c)

 private:
  std::vector<std::unique_ptr<KeptAttention>> layers_;
  std::vector<HostTensor> outputs_;
};

// Neighbouring rows of one head: A and dy/dA, (rows, keys) f32, valid during the call.
struct AttentionGradient {
  int layer = 0, head = 0;
  int64_t first = 0;  // query of row 0
  Tensor weights, gradients;
};

// Of the pass that `tape` and `hidden_states` (layers+1 tensors (t,c) f32, of the same sample as
// the tape's, as VitOutput has them) are of. `d_pooled`: dy/d VitOutput::pooled. Tells `visit` of
// the last layer first, of each layer head by head, of each head's rows in order; rows that y does
// not depend on may be left out. When ctx.Cancelled(), returns early.
void DifferentiateVit(Context& ctx, const VisionTransformer& model,
                      std::span<const Tensor> hidden_states, const VitTape& tape,
                      std::span<const float> d_pooled,
                      const std::function<void(const AttentionGradient&)>& visit);

}  // namespace fovea
