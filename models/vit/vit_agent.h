// What Agent-DeiT's attention learned besides its projections: biases and a convolution.
//
// Han et al., "Agent Attention" (2023). Names as in the official checkpoints: an_bias, na_bias,
// ah_bias, aw_bias, ha_bias, wa_bias, ac_bias, ca_bias, dwc.
#pragma once

#include "attention/attention_op.h"
#include "models/vit/vit_config.h"
#include "models/weight_store.h"
#include "tensor/memory/host_tensor.h"

namespace fovea {

class VitAgent {
 public:
  // `scope` is the block's attention.
  VitAgent(const WeightScope& scope, const VitConfig& config, int agents);
  // What attention/ops/agent.h takes for a class token before gh x gw patches; a grid that is not
  // the trained one gets its biases resized bilinearly, as the official detection backbones do.
  // Kept until another grid is asked for.
  const OperatorTensors& At(int64_t gh, int64_t gw) const;

 private:
  int64_t heads_, agents_, h_, w_;
  Tensor an_, na_;                   // (heads,n,7,7)
  Tensor ah_, aw_;                   // (1,heads,n,h,1), (1,heads,n,1,w)
  Tensor ha_, wa_;                   // (1,heads,h,1,n), (1,heads,1,w,n)
  Tensor ac_, ca_;                   // of the class token: (1,heads,n,1), (1,heads,1,n)
  mutable int64_t gh_ = 0, gw_ = 0;  // of what is kept
  mutable HostTensor gather_, spread_;
  mutable OperatorTensors weights_;
};

}  // namespace fovea
