// What a sampling loop needs of a denoising network, U-Net or transformer.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "attention/attention_runtime.h"
#include "models/row_split.h"
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

  // Of transformers.
  int patch = 1;        // latent pixels a token side, which latents must be a multiple of
  int max_grid = 0;     // tokens a side that the position table has; 0: no bound
  int text_tokens = 0;  // as many as the reference pipeline gives it; others run, too
  int pooled_dim = 0;   // channels of text_embeds where no time_ids go with them; 0: see above
  int num_classes = 0;  // class_labels are 0 to num_classes, the last meaning "none"; 0: none
  bool has_guidance = false;
  // The latent is (n, h / 2, w / 2, 4 c): pixel (y, x) of channel i of each 2 x 2 is its channel
  // 4 i + 2 y + x. in_channels and out_channels count the packed ones, sample_height and
  // sample_width the unpacked pixels; `patch` is then 2.
  bool packed = false;
  bool rotary = false;  // positions turn queries and keys, so DenoiserInput::ntk means something
};

struct DenoiserInput {
  Tensor latent;  // (n,h,w,in) activations' dtype or f32
  // On the host: 1 or n values, as the reference's forward takes them: 0 to 1000 for U-Nets, SD3
  // and DiT (whole numbers there), 0 to 1 for FLUX.
  std::span<const float> timestep;
  Tensor context;             // (n,t,context_dim) f32 or activations' dtype; empty for class models
  Tensor timestep_cond = {};  // (n,timestep_cond_dim) f32 or activations' dtype, or empty
  // (n,c) f32 or activations' dtype, where the model has them: SDXL's, and pooled_projections.
  Tensor text_embeds = {};
  std::span<const float> time_ids =
      {};                   // on the host: n times (addition_dim - c) / addition_time_dim
  RaunetStage raunet = {};  // off, except for U-Nets that fit
  RowSplit split = {};      // rows of the batch that are the same up to some layer

  // Of transformers, on the host.
  std::span<const int64_t> class_labels = {};  // n, where num_classes > 0
  std::span<const float> guidance = {};        // 1 or n scales, where has_guidance
  // FLUX's positions: rows of 3, as many as there are image and text tokens. Empty: the pipeline's
  // (0, row, column), and zeros for text.
  std::span<const float> img_ids = {}, txt_ids = {};
  double ntk = 1;  // of rotary positions: factor of their base, for pictures larger than trained
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
