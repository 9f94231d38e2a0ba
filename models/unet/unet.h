// UNet2DConditionModel: the denoiser of Stable Diffusion 1.x (and, later, 2.x and SDXL).
//
// Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models" (2022). Module
// names, config fields and numerics are those of diffusers' class of this name.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "attention/attention_runtime.h"
#include "models/config.h"
#include "models/denoiser.h"
#include "models/weight_store.h"

namespace fovea {

struct UNetModules;

class UNet2DConditionModel final : public Denoiser {
 public:
  // Reads every field that changes the result; throws kUnsupported naming what it lacks, kBadFile
  // for broken values and tensors. The weights stay mapped for the life of the model.
  static std::unique_ptr<UNet2DConditionModel> Load(const Config& config,
                                                    std::shared_ptr<const WeightStore> weights);
  ~UNet2DConditionModel() override;

  const DenoiserTraits& Traits() const override { return traits_; }
  std::span<const AttentionSite> AttentionSites() const override { return sites_; }
  void Forward(Context& ctx, AttentionRuntime& attention, const DenoiserInput& input,
               const Tensor& out) const override;

 private:
  UNet2DConditionModel();
  DenoiserTraits traits_;
  std::vector<AttentionSite> sites_;
  std::unique_ptr<UNetModules> modules_;
  std::shared_ptr<const WeightStore> weights_;
};

}  // namespace fovea
