#include "pipelines/generation/picture_latents.h"

#include <cmath>

#include "pipelines/generation/pipeline_stages.h"
#include "tensor/ops/elementwise.h"
#include "tensor/trace.h"

namespace fovea {

Posterior EncodePicture(Context& ctx, const DiffusionModel& model, const GenerateSettings& settings,
                        const std::function<HostTensor()>& picture) {
  TRACE_ZONE("encode");
  ArenaScope scope(ctx.arena);
  AttentionRuntime attention;
  const AutoencoderKL& vae = model.Vae();
  const Shape nchw = model.LatentShape(settings), one = {1, nchw[1], nchw[2], nchw[3]};
  const Shape nhwc = {1, nchw[2], nchw[3], nchw[1]};
  const Tensor mean = ctx.arena.New(nhwc, DType::kF32), logvar = ctx.arena.New(nhwc, DType::kF32);
  const Tensor x = ctx.arena.New({1, settings.height, settings.width, 3}, DType::kF32);
  const bool planning = ctx.backend.IsPlanning();
  if (!planning) {
    const HostTensor given = picture();
    ops::Copy(ctx, given.View(), x);
    ctx.backend.Synchronize();
  }
  if (TilesVae(settings)) {
    EncodeTiled(ctx, attention, vae, DefaultTiling(vae.Traits()), x, mean, logvar);
  } else {
    vae.Encode(ctx, attention, x, mean, logvar);
  }
  if (planning || ctx.Cancelled()) return {};
  Posterior posterior{HostTensor(one, DType::kF32), HostTensor(one, DType::kF32)};
  ops::Copy(ctx, mean.Permute({0, 3, 1, 2}), posterior.mean.View());
  ops::Copy(ctx, logvar.Permute({0, 3, 1, 2}), posterior.deviation.View());
  ctx.backend.Synchronize();
  float* values = posterior.deviation.Data<float>();
  for (int64_t i = 0; i < one.NumElements(); ++i) values[i] = std::exp(0.5f * values[i]);
  return posterior;
}

HostTensor DrawLatents(const DiffusionModel& model, const GenerateSettings& settings,
                       std::span<const Posterior> posteriors, BatchNoise& noise) {
  const Shape shape = model.LatentShape(settings);
  ENSURE(posteriors.size() == 1 || posteriors.size() == static_cast<size_t>(shape[0]));
  HostTensor latents(shape, DType::kF32);
  const auto count = static_cast<size_t>(shape.NumElements());
  noise.Normal({latents.Data<float>(), count});
  const auto scale = static_cast<float>(model.LatentScale());
  const auto shift = static_cast<float>(model.LatentShift());
  const size_t one = count / static_cast<size_t>(shape[0]);
  float* value = latents.Data<float>();
  for (size_t i = 0; i < static_cast<size_t>(shape[0]); ++i) {
    const Posterior& posterior = posteriors[posteriors.size() == 1 ? 0 : i];
    const float *mean = posterior.mean.Data<float>(),
                *deviation = posterior.deviation.Data<float>();
    for (size_t k = 0; k < one; ++k, ++value) {
      *value = scale * (mean[k] + deviation[k] * *value - shift);
    }
  }
  return latents;
}

}  // namespace fovea
