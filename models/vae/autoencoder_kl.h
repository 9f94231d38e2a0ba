// AutoencoderKL: pictures to latents and back.
//
// Module names, config fields and numerics are those of diffusers' class of this name. No scaling
// factor is applied and nothing is sampled here; pipelines do that.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "attention/attention_runtime.h"
#include "models/config.h"
#include "models/weight_store.h"
#include "tensor/context.h"

namespace fovea {

struct VaeTraits {
  int latent_channels = 4, image_channels = 3;
  int factor = 8;  // picture pixels a latent pixel, along each side
  double scaling_factor = 0.18215, shift_factor = 0;
  int sample_size = 512;  // picture pixels a side
  int out_channels = 3;   // of decoded pictures
};

struct VaeModules;

class AutoencoderKL {
 public:
  static std::unique_ptr<AutoencoderKL> Load(const Config& config,
                                             std::shared_ptr<const WeightStore> weights);
  ~AutoencoderKL();

  const VaeTraits& Traits() const { return traits_; }
  std::span<const AttentionSite> AttentionSites() const { return sites_; }
  // Both work sample by sample, so that memory does not depend on n, and ask ctx.Cancelled()
  // between blocks; then the outputs are left undefined. Inputs are f32 or of the activations'
  // dtype. z (n,h,w,latent) -> out (n,h*factor,w*factor,3) f32, about [-1, 1]
  void Decode(Context& ctx, AttentionRuntime& attention, const Tensor& z, const Tensor& out) const;
  // x (n,H,W,3) -> mean, logvar (n,h,w,latent) f32; logvar is clamped to [-30, 20]
  void Encode(Context& ctx, AttentionRuntime& attention, const Tensor& x, const Tensor& mean,
              const Tensor& logvar) const;
  // Size of the latent that Encode gives for a picture side (odd sizes round as diffusers does);
  // 0 when the picture is too small.
  int64_t LatentSide(int64_t picture_side) const;

 private:
  AutoencoderKL();
  VaeTraits traits_;
  std::vector<AttentionSite> sites_;
  std::unique_ptr<VaeModules> modules_;
  std::shared_ptr<const WeightStore> weights_;
};

// Decode in overlapping tiles, blended linearly, as diffusers' tiled_decode: memory depends on the
// tile, not on the picture. In autoencoder_kl_tiling.cc.
struct VaeTiling {
  int tile = 64;  // latent pixels a side; a multiple of 4, so that the overlap of 1/4 is whole
};
// diffusers' tile for this model: its sample size, in latent pixels.
VaeTiling DefaultTiling(const VaeTraits& traits);
// Same shapes as Decode. A latent no larger than the tile is decoded whole. CPU tensors only.
void DecodeTiled(Context& ctx, AttentionRuntime& attention, const AutoencoderKL& vae,
                 const VaeTiling& tiling, const Tensor& z, const Tensor& out);
// The same for encoding, as diffusers' tiled_encode: mean and logvar as Encode gives them. Pictures
// whose sides are multiples of the factor.
void EncodeTiled(Context& ctx, AttentionRuntime& attention, const AutoencoderKL& vae,
                 const VaeTiling& tiling, const Tensor& x, const Tensor& mean,
                 const Tensor& logvar);

}  // namespace fovea
