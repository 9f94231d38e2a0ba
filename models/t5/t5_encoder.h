// T5EncoderModel: prompts to token states, the long-text encoder of SD3 and FLUX.
//
// Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text
// Transformer" (2020). Names, config fields and numerics are those of transformers; without an
// attention mask, as the diffusion pipelines call it: padding is attended to.
#pragma once

#include <memory>

#include "models/config.h"
#include "models/weight_store.h"
#include "tensor/context.h"

namespace fovea {

struct T5Traits {
  int hidden = 4096, layers = 24, heads = 64, vocabulary = 32128;
};

struct T5Modules;

class T5EncoderModel {
 public:
  static std::unique_ptr<T5EncoderModel> Load(const Config& config,
                                              std::shared_ptr<const WeightStore> weights);
  ~T5EncoderModel();
  const T5Traits& Traits() const { return traits_; }
  // ids (b,t) i32 on the host, real even in a dry run; any t >= 1. out (b,t,hidden) f32, after the
  // final norm. Asks ctx.Cancelled() between layers; then out is left undefined.
  // Its attention has a learned bias, which no operator of a plan serves, so there are no sites.
  void Forward(Context& ctx, const Tensor& ids, const Tensor& out) const;

 private:
  T5EncoderModel();
  T5Traits traits_;
  std::unique_ptr<T5Modules> modules_;
  std::shared_ptr<const WeightStore> weights_;
};

}  // namespace fovea
