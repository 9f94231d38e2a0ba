// One block of a Vision Transformer: attention, then an MLP, each after a norm.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "attention/attention_runtime.h"
#include "models/layers.h"
#include "models/vit/vit_agent.h"
#include "models/vit/vit_config.h"
#include "models/vit/vit_names.h"
#include "tensor/context.h"

namespace fovea {

// The rows of a layer times `factors`, one each, in f32 whatever the file has, since rounding again
// would cost what the file's type has left. `storage` keeps what the result views.
Weight ScaleRows(const Weight& weight, std::span<const float> factors,
                 std::vector<HostTensor>& storage);

struct VitBlock {
  AttentionSite site;  // its path is the loader's to set
  LayerNorm norm1, norm2;
  Weight qkv, query, key, value;  // one matrix, or three
  Weight out, fc1, gate, fc2;     // gate: SwiGLU's
  Act act = Act::kGeluErf;
  std::unique_ptr<VitAgent> agent;  // or null: plain attention
  std::vector<HostTensor> scaled;   // weights with the layer scale multiplied in

  // `agents`: how many its attention has, or 0.
  static VitBlock Load(const WeightScope& scope, const VitConfig& config, int agents);
  // hidden (b,t,c), updated in place. `tokens` says what the t are.
  void Forward(Context& ctx, AttentionRuntime& attention, const TokenLayout& tokens,
               const Tensor& hidden) const;

 private:
  void Attend(Context& ctx, AttentionRuntime& attention, const TokenLayout& tokens,
              const Tensor& normed, const Tensor& hidden) const;
  void Mlp(Context& ctx, const Tensor& normed, const Tensor& hidden) const;
};

}  // namespace fovea
