// SD3Transformer2DModel: the denoiser of Stable Diffusion 3 and 3.5.
//
// Esser et al., "Scaling Rectified Flow Transformers for High-Resolution Image Synthesis" (2024).
// Module names, config fields and numerics are those of diffusers' class of this name.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "models/config.h"
#include "models/denoiser.h"
#include "models/weight_store.h"

namespace fovea {

struct SD3Modules;

class SD3Transformer2DModel final : public Denoiser {
 public:
  // Reads every field that changes the result; throws kUnsupported naming what it lacks, kBadFile
  // for broken values and tensors. The weights stay mapped for the life of the model.
  static std::unique_ptr<SD3Transformer2DModel> Load(const Config& config,
                                                     std::shared_ptr<const WeightStore> weights);
  ~SD3Transformer2DModel() override;

  const DenoiserTraits& Traits() const override { return traits_; }
  std::span<const AttentionSite> AttentionSites() const override { return sites_; }
  void Forward(Context& ctx, AttentionRuntime& attention, const DenoiserInput& input,
               const Tensor& out) const override;

 private:
  SD3Transformer2DModel();
  DenoiserTraits traits_;
  std::vector<AttentionSite> sites_;
  std::unique_ptr<SD3Modules> modules_;
  std::shared_ptr<const WeightStore> weights_;
};

}  // namespace fovea
