#include "pipelines/denoise_loop.h"

#include <chrono>

#include "tensor/ops/elementwise.h"
#include "tensor/trace.h"

namespace fovea {
namespace {

// Both halves of a guided batch see the same latents.
int Halves(const Guidance& guidance) {
  return guidance.Active() ? 2 : 1;
}

struct ModelCall {
  ModelCall(Context& ctx, const Shape& nchw, int halves)
      : batch(nchw[0] * halves),
        input(ctx.arena.New({batch, nchw[2], nchw[3], nchw[1]}, DType::kF32)),
        output(ctx.arena.New({batch, nchw[2], nchw[3], nchw[1]}, DType::kF32)) {}

  void Forward(Context& ctx, AttentionRuntime& attention, const Denoiser& denoiser,
               const Conditioning& conditioning, float timestep, const RaunetStage& stage) const {
    denoiser.Forward(ctx, attention,
                     {.latent = input,
                      .timestep = std::span(&timestep, 1),
                      .context = conditioning.context,
                      .timestep_cond = conditioning.timestep_cond,
                      .text_embeds = conditioning.text_embeds,
                      .time_ids = conditioning.time_ids,
                      .raunet = stage},
                     output);
  }

  int64_t batch;
  Tensor input, output;  // (n or 2n, h, w, c)
};

Tensor HostView(std::span<float> values, const Shape& shape) {
  return Tensor::Contiguous(values.data(), shape, DType::kF32);
}

}  // namespace

void DenoiseLoop::RunOnce(Context& ctx, AttentionRuntime& attention,
                          const Conditioning& conditioning, int step) {
  ArenaScope scope(ctx.arena);
  const ModelCall call(ctx, shape, Halves(guidance));
  attention.BeginStep(step, static_cast<int>(scheduler.Timesteps().size()));
  call.Forward(ctx, attention, denoiser, conditioning,
               static_cast<float>(scheduler.Timesteps()[static_cast<size_t>(step)]),
               hires.StageAt(step));
}

bool DenoiseLoop::Run(Context& ctx, AttentionRuntime& attention, const Conditioning& conditioning,
                      std::span<float> latents) {
  ENSURE(static_cast<int64_t>(latents.size()) == shape.NumElements());
  ArenaScope scope(ctx.arena);
  const int halves = Halves(guidance);
  const ModelCall call(ctx, shape, halves);
  const Shape output_shape = {call.batch, shape[1], shape[2], shape[3]};
  std::vector<float> scaled(latents.size()), before(latents.size());
  std::vector<float> output(latents.size() * static_cast<size_t>(halves));

  const auto steps = static_cast<int>(scheduler.Timesteps().size());
  for (int i = 0; i < steps; ++i) {
    TRACE_ZONE("step");
    if (ctx.Cancelled()) return false;
    const auto begin = std::chrono::steady_clock::now();
    const double timestep = scheduler.Timesteps()[static_cast<size_t>(i)];
    std::copy(latents.begin(), latents.end(), before.begin());
    std::copy(latents.begin(), latents.end(), scaled.begin());
    scheduler.ScaleModelInput(i, scaled);
    for (int half = 0; half < halves; ++half) {
      ops::Copy(ctx, HostView(scaled, shape).Permute({0, 2, 3, 1}),
                call.input.Slice(0, half * shape[0], shape[0]));
    }
    attention.BeginStep(i, steps);
    call.Forward(ctx, attention, denoiser, conditioning, static_cast<float>(timestep),
                 hires.StageAt(i));
    if (ctx.Cancelled()) return false;
    ops::Copy(ctx, call.output.Permute({0, 3, 1, 2}), HostView(output, output_shape));
    ctx.backend.Synchronize();

    const std::span<float> guided = guidance.Combine(output, static_cast<size_t>(shape[0]));
    scheduler.Step(i, guided, latents, draw);
    if (on_step) {
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
      on_step({i, steps, timestep, seconds.count(), shape, before, guided, latents,
               scheduler.PredictedClean()});
    }
  }
  return true;
}

}  // namespace fovea
