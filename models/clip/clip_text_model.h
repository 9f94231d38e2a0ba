// CLIPTextModel and CLIPTextModelWithProjection: prompts to token states.
//
// Radford et al., "Learning Transferable Visual Models From Natural Language Supervision" (2021).
// Names, config fields and numerics are those of transformers; keys load with and without the
// "text_model." prefix.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "attention/attention_runtime.h"
#include "models/config.h"
#include "models/weight_store.h"
#include "tensor/context.h"

namespace fovea {

struct ClipTextTraits {
  int hidden = 768, layers = 12, heads = 12, positions = 77, vocabulary = 49408;
  int projection = 0;  // columns of text_embeds; 0: no projection
};

struct ClipTextOutput {
  Tensor last_hidden_state;  // (b,t,hidden) f32, after the final norm; required
  Tensor pooled;             // (b,hidden) f32, or (b,projection): text_embeds; may be empty
  // Empty, or layers+1 tensors (b,t,hidden) f32: the embeddings, then each layer's output, before
  // the final norm. Those that are empty tensors are not kept.
  std::span<const Tensor> hidden_states;
};

struct ClipTextModules;

class ClipTextModel {
 public:
  static std::unique_ptr<ClipTextModel> Load(const Config& config,
                                             std::shared_ptr<const WeightStore> weights);
  ~ClipTextModel();
  const ClipTextTraits& Traits() const { return traits_; }
  std::span<const AttentionSite> AttentionSites() const { return sites_; }
  // ids (b,t) i32 on the host, real even in a dry run; t <= positions. Throws kUsage for ids
  // outside the vocabulary. Asks ctx.Cancelled() between layers; then the outputs are left
  // undefined.
  void Forward(Context& ctx, AttentionRuntime& attention, const Tensor& ids,
               const ClipTextOutput& out) const;
  // x (b,t,hidden) f32: the final layer norm alone, for states taken from before the last layer.
  void FinalNorm(Context& ctx, const Tensor& x, const Tensor& out) const;

 private:
  ClipTextModel();
  ClipTextTraits traits_;
  std::vector<AttentionSite> sites_;
  std::unique_ptr<ClipTextModules> modules_;
  std::shared_ptr<const WeightStore> weights_;
};

}  // namespace fovea
