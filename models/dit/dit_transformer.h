// DiTTransformer2DModel: DiT-XL/2 and its like: class labels, adaLN-Zero.
//
// Peebles and Xie, "Scalable Diffusion Models with Transformers" (2023).
// Module names, config fields and numerics are those of diffusers' class of this name.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "models/config.h"
#include "models/denoiser.h"
#include "models/weight_store.h"

namespace fovea {

struct DiTModules;

class DiTTransformer2DModel final : public Denoiser {
 public:
  // Reads every field that changes the result; throws kUnsupported naming what it lacks, kBadFile
  // for broken values and tensors. The weights stay mapped for the life of the model.
  static std::unique_ptr<DiTTransformer2DModel> Load(const Config& config,
                                                     std::shared_ptr<const WeightStore> weights);
  ~DiTTransformer2DModel() override;

  const DenoiserTraits& Traits() const override { return traits_; }
  std::span<const AttentionSite> AttentionSites() const override { return sites_; }
  void Forward(Context& ctx, AttentionRuntime& attention, const DenoiserInput& input,
               const Tensor& out) const override;

 private:
  DiTTransformer2DModel();
  DenoiserTraits traits_;
  std::vector<AttentionSite> sites_;
  std::unique_ptr<DiTModules> modules_;
  std::shared_ptr<const WeightStore> weights_;
};

}  // namespace fovea
