// Vision Transformers: pictures to token states, and to what their class makes of those.
//
// Which networks, and where their options come from: vit_config.h. Names, config fields and
// numerics are those of transformers and timm.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "attention/attention_runtime.h"
#include "models/vit/vit_config.h"
#include "models/weight_store.h"
#include "tensor/context.h"

namespace fovea {

struct VitOutput {
  Tensor last_hidden_state;  // (b,t,hidden) f32; CLIP's is not normed; required
  Tensor pooled;             // (b,Columns()) f32: what VitHead says; required unless kNone
  // Empty, or layers+1 tensors (b,t,hidden) f32: the embeddings, then each block's output.
  std::span<const Tensor> hidden_states;
};

struct VitModules;

// Used by one thread at a time: positions of the last grid are kept.
class VisionTransformer {
 public:
  static std::unique_ptr<VisionTransformer> Load(const Config& config,
                                                 std::shared_ptr<const WeightStore> weights);
  ~VisionTransformer();
  const VitConfig& Traits() const { return config_; }
  const VitModules& Modules() const { return *modules_; }  // vit_modules.h
  std::span<const AttentionSite> AttentionSites() const { return sites_; }
  int64_t Columns() const;  // of VitOutput::pooled; 0 without
  // Class and other single tokens first, then the patches of a picture of this size; a rest that
  // fills no patch is left out, as the references do.
  TokenLayout Tokens(int64_t height, int64_t width) const;
  // pixels (b,h,w,channels), at least one patch high and wide. When ctx.Cancelled(), returns early
  // with `out` unspecified.
  void Forward(Context& ctx, AttentionRuntime& attention, const Tensor& pixels,
               const VitOutput& out) const;

 private:
  VisionTransformer();
  std::span<const float> PositionsAt(int64_t height, int64_t width) const;
  void Embed(Context& ctx, const Tensor& pixels, const Tensor& hidden) const;
  void Pool(Context& ctx, const Tensor& hidden, const Tensor& pooled) const;

  VitConfig config_;
  std::unique_ptr<VitModules> modules_;
  std::vector<AttentionSite> sites_;
  std::shared_ptr<const WeightStore> weights_;
};

}  // namespace fovea
