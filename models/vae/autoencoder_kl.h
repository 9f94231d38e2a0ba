// AutoencoderKL: pictures to latents and back.
//
// Module names, config fields and numerics are those of diffusers' class of this name. No scaling
// factor is applied and nothing is sampled here; pipelines do that.
#pragma once

#include <memory>

#include "attention/attention_runtime.h"
#include "models/config.h"
#include "models/weight_store.h"
#include "tensor/context.h"

namespace fovea {

struct VaeTraits {
  int latent_channels = 4, image_channels = 3;
  int factor = 8;  // picture pixels a latent pixel, along each side
  double scaling_factor = 0.18215, shift_factor = 0;
  int sample_size = 512;
};

struct VaeModules;

class AutoencoderKL {
 public:
  static std::unique_ptr<AutoencoderKL> Load(const Config& config,
                                             std::shared_ptr<const WeightStore> weights);
  ~AutoencoderKL();

  const VaeTraits& Traits() const { return traits_; }
  std::span<const AttentionSite> AttentionSites() const { return sites_; }
  // z (n,h,w,latent) -> out (n,h*factor,w*factor,3) f32, about [-1, 1]
  void Decode(Context& ctx, AttentionRuntime& attention, const Tensor& z, const Tensor& out) const;
  // x (n,H,W,3) -> mean, logvar (n,h,w,latent) f32; logvar is clamped to [-30, 20]
  void Encode(Context& ctx, AttentionRuntime& attention, const Tensor& x, const Tensor& mean,
              const Tensor& logvar) const;
  // Size of the latent that Encode gives for a picture side (odd sizes round as diffusers does).
  int64_t LatentSide(int64_t picture_side) const;

 private:
  AutoencoderKL();
  VaeTraits traits_;
  std::vector<AttentionSite> sites_;
  std::unique_ptr<VaeModules> modules_;
  std::shared_ptr<const WeightStore> weights_;
};

// Decode in overlapping tiles, blended linearly, as diffusers' tiled_decode: memory depends on the
// tile, not on the picture. In tiling.cc.
struct VaeTiling {
  int tile = 64;        // latent pixels a side
  double overlap = 0.25;
};
void DecodeTiled(Context& ctx, AttentionRuntime& attention, const AutoencoderKL& vae,
                 const VaeTiling& tiling, const Tensor& z, const Tensor& out);

}  // namespace fovea
