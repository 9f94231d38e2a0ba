// What a sampling loop needs of a denoising network, U-Net or transformer.
#pragma once

#include <span>
#include <string>

#include "attention/attention_runtime.h"
#include "models/unet/raunet.h"
#include "tensor/context.h"

namespace fovea {

struct DenoiserTraits {
  std::string class_name;
  int in_channels = 4, out_channels = 4;
  int sample_height = 64, sample_width = 64;  // the trained latent size
  int context_dim = 768;                      // channels of the text states
  int timestep_cond_dim = 0;                  // channels of timestep_cond; 0: not accepted
  // SDXL's: text_embeds and all time_ids' sinusoids, addition_time_dim wide each, have addition_dim
  // channels together; 0: not accepted.
  int addition_dim = 0, addition_time_dim = 0;
  RaunetFit raunet = {};
};

struct DenoiserInput {
  Tensor latent;                    // (n,h,w,in) activations' dtype or f32
  std::span<const float> timestep;  // on the host: 1 or n values
  Tensor context;                   // (n,t,context_dim) f32 or activations' dtype
  Tensor timestep_cond = {};        // (n,timestep_cond_dim) f32 or activations' dtype, or empty
  Tensor text_embeds = {};          // (n,c) f32 or activations' dtype, where the model has them
  std::span<const float> time_ids =
      {};                   // on the host: n times (addition_dim - c) / addition_time_dim
  RaunetStage raunet = {};  // off, except for U-Nets that fit
};

class Denoiser {
 public:
  virtual ~Denoiser() = default;
  virtual const DenoiserTraits& Traits() const = 0;
  virtual std::span<const AttentionSite> AttentionSites() const = 0;  // in order of execution
  // out (n,h,w,out), f32. Asks ctx.Cancelled() between blocks; then out is left undefined.
  virtual void Forward(Context& ctx, AttentionRuntime& attention, const DenoiserInput& input,
                       const Tensor& out) const = 0;
};

}  // namespace fovea
