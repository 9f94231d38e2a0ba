// FluxTransformer2DModel: the denoiser of FLUX.1 dev and schnell.
//
// Black Forest Labs (2024); rotary positions after Su et al., "RoFormer" (2021).
// Module names, config fields and numerics are those of diffusers' class of this name.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "models/config.h"
#include "models/denoiser.h"
#include "models/weight_store.h"

namespace fovea {

struct FluxModules;

class FluxTransformer2DModel final : public Denoiser {
 public:
  // Reads every field that changes the result; throws kUnsupported naming what it lacks, kBadFile
  // for broken values and tensors. The weights stay mapped for the life of the model.
  static std::unique_ptr<FluxTransformer2DModel> Load(const Config& config,
                                                      std::shared_ptr<const WeightStore> weights);
  ~FluxTransformer2DModel() override;

  const DenoiserTraits& Traits() const override { return traits_; }
  std::span<const AttentionSite> AttentionSites() const override { return sites_; }
  void Forward(Context& ctx, AttentionRuntime& attention, const DenoiserInput& input,
               const Tensor& out) const override;

 private:
  FluxTransformer2DModel();
  DenoiserTraits traits_;
  std::vector<AttentionSite> sites_;
  std::unique_ptr<FluxModules> modules_;
  std::shared_ptr<const WeightStore> weights_;
};

}  // namespace fovea
