#include "models/vae/autoencoder_kl.h"

#include "models/layers.h"
#include "models/vae/pixelwise.h"
#include "models/vae/vae_blocks.h"
#include "models/vae/vae_config.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/product/linear.h"

namespace fovea {

struct VaeModules {
  VaeConfig config;
  VaeEncoder encoder;
  VaeDecoder decoder;
  std::optional<Weight> quant_conv, post_quant_conv;  // 1x1
};

AutoencoderKL::AutoencoderKL() = default;
AutoencoderKL::~AutoencoderKL() = default;

std::unique_ptr<AutoencoderKL> AutoencoderKL::Load(const Config& config,
                                                   std::shared_ptr<const WeightStore> weights) {
  std::unique_ptr<AutoencoderKL> model(new AutoencoderKL);
  model->modules_ = std::make_unique<VaeModules>();
  VaeModules& modules = *model->modules_;
  modules.config = ReadVaeConfig(config);
  const VaeConfig& vae = modules.config;
  const int64_t latent = vae.latent_channels;
  model->traits_ = {static_cast<int>(latent),
                    static_cast<int>(vae.in_channels),
                    1 << (vae.block_out_channels.size() - 1),
                    vae.scaling_factor,
                    vae.shift_factor,
                    vae.sample_size,
                    static_cast<int>(vae.out_channels)};
  const WeightScope root(*weights);
  modules.encoder = VaeEncoder::Load(root.Sub("encoder"), vae, model->sites_);
  modules.decoder = VaeDecoder::Load(root.Sub("decoder"), vae, model->sites_);
  if (vae.use_quant_conv) modules.quant_conv = root.Linear("quant_conv", 2 * latent, 2 * latent);
  if (vae.use_post_quant_conv) {
    modules.post_quant_conv = root.Linear("post_quant_conv", latent, latent);
  }
  weights->CheckAllRead();
  model->weights_ = std::move(weights);
  return model;
}

void AutoencoderKL::Decode(Context& ctx, AttentionRuntime& attention, const Tensor& z,
                           const Tensor& out) const {
  const Shape& s = z.shape;  // (n,h,w,latent)
  ENSURE(s.rank == 4 && s[3] == traits_.latent_channels && out.dtype == DType::kF32);
  for (int64_t i = 0; i < s[0]; ++i) {
    if (ctx.Cancelled()) return;
    ArenaScope scope(ctx.arena);
    Tensor latent = AsActivations(ctx, z.Slice(0, i, 1));  // (1,h,w,latent)
    if (modules_->post_quant_conv) {
      const Tensor mixed = ctx.New(latent.shape);
      ops::Linear(ctx, latent, *modules_->post_quant_conv, mixed);
      latent = mixed;
    }
    const Tensor picture = out.Slice(0, i, 1);  // (1,H,W,out)
    if (ctx.dtype == DType::kF32) {
      modules_->decoder.Forward(ctx, attention, latent, picture);
      continue;
    }
    const Tensor rounded = ctx.New(picture.shape);
    modules_->decoder.Forward(ctx, attention, latent, rounded);
    ops::Copy(ctx, rounded, picture);
  }
}

void AutoencoderKL::Encode(Context& ctx, AttentionRuntime& attention, const Tensor& x,
                           const Tensor& mean, const Tensor& logvar) const {
  const Shape& s = x.shape;  // (n,H,W,c)
  const int64_t latent = traits_.latent_channels, h = LatentSide(s[1]), w = LatentSide(s[2]);
  ENSURE(s.rank == 4 && s[3] == traits_.image_channels);
  if (h < 1 || w < 1) {
    throw Error(ErrorCode::kUsage, "a picture of " + std::to_string(s[1]) + "x" +
                                       std::to_string(s[2]) +
                                       " is too small for this VAE, whose "
                                       "factor is " +
                                       std::to_string(traits_.factor));
  }
  for (int64_t i = 0; i < s[0]; ++i) {
    if (ctx.Cancelled()) return;
    ArenaScope scope(ctx.arena);
    Tensor moments = ctx.New({1, h, w, 2 * latent});
    modules_->encoder.Forward(ctx, attention, AsActivations(ctx, x.Slice(0, i, 1)), moments);
    if (ctx.Cancelled()) return;
    if (modules_->quant_conv) {
      const Tensor mixed = ctx.New(moments.shape);
      ops::Linear(ctx, moments, *modules_->quant_conv, mixed);
      moments = mixed;
    }
    ops::Copy(ctx, moments.Slice(3, 0, latent), mean.Slice(0, i, 1));
    const Tensor logs = logvar.Slice(0, i, 1);
    ops::Copy(ctx, moments.Slice(3, latent, latent), logs);
    ClampInPlace(ctx, logs, -30, 20);
  }
}

int64_t AutoencoderKL::LatentSide(int64_t picture_side) const {
  int64_t side = picture_side;
  for (size_t i = 1; i < modules_->config.block_out_channels.size(); ++i) {
    side = DownsampledSide(side, 0);
  }
  return side;
}

}  // namespace fovea
