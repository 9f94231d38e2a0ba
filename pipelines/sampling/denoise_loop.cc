#include "pipelines/sampling/denoise_loop.h"

#include <chrono>

#include "tensor/ops/elementwise.h"
#include "tensor/trace.h"

namespace fovea {
namespace {

// The model's input and output; a step without guidance takes the second half of the batch alone,
// the prompt's.
struct ModelCall {
  ModelCall(Context& ctx, const DenoiseLoop& loop)
      : n(loop.shape[0]),
        rows(loop.guidance.Active() ? 2 * n : n),
        input(New(ctx, loop, loop.denoiser.Traits().in_channels)),
        output(New(ctx, loop, loop.denoiser.Traits().out_channels)) {}

  Tensor New(Context& ctx, const DenoiseLoop& loop, int64_t channels) const {
    const int64_t side = loop.denoiser.Traits().packed ? 2 : 1;
    return ctx.arena.New({rows, loop.shape[2] / side, loop.shape[3] / side, channels}, DType::kF32);
  }

  void Forward(Context& ctx, AttentionRuntime& attention, const DenoiseLoop& loop,
               const Conditioning& conditioning, int step, int64_t first) const {
    const float timestep =
        static_cast<float>(
            loop.scheduler.Timesteps()[static_cast<size_t>(loop.first_call + step)]) /
        loop.timestep_divisor;
    const auto from_first = [&](const Tensor& x) {
      return x.Empty() ? x : x.Slice(0, first, rows - first);
    };
    const std::span<const float> time_ids = conditioning.time_ids;
    const std::span<const int64_t> labels = conditioning.class_labels;
    attention.BeginStep(step, loop.Steps());
    loop.denoiser.Forward(
        ctx, attention,
        {.latent = from_first(input),
         .timestep = std::span(&timestep, 1),
         .context = from_first(conditioning.context),
         .timestep_cond = from_first(conditioning.timestep_cond),
         .text_embeds = from_first(conditioning.text_embeds),
         .time_ids = time_ids.subspan(time_ids.size() / static_cast<size_t>(rows) *
                                      static_cast<size_t>(first)),
         .raunet = loop.hires.StageAt(step),
         .class_labels = labels.empty() ? labels : labels.subspan(static_cast<size_t>(first)),
         .guidance = conditioning.guidance,
         .ntk = loop.ntk},
        from_first(output));
  }

  int64_t n, rows;       // samples; rows of the batch: n or 2n
  Tensor input, output;  // (rows,h,w,c)
};

Tensor HostView(std::span<const float> values, const Shape& shape) {
  ENSURE(static_cast<int64_t>(values.size()) == shape.NumElements());
  // A view of constants serves as a source only.
  return Tensor::Contiguous(const_cast<float*>(values.data()), shape, DType::kF32);
}

// Elements first, first + n, ... of an axis whose extent is a multiple of n.
Tensor EveryNth(const Tensor& x, int axis, int64_t first, int64_t n) {
  Tensor out = x.Slice(axis, first, x.shape[axis] - first);
  out.shape[axis] = x.shape[axis] / n;
  out.stride[static_cast<size_t>(axis)] *= n;
  return out;
}

// Latents on the host, (n,c,h,w), beside the same number of the model's rows: copies one to the
// other, pixel (y, x) of each 2 x 2 of channel i to channel 4 i + 2 y + x where the model packs.
// Of a model that gives more channels than the latents have, the first are theirs.
void CopyLatents(Context& ctx, const Tensor& host, const Tensor& model, bool packed,
                 bool to_model) {
  const auto copy = [&](const Tensor& latents, const Tensor& rows) {
    to_model ? ops::Copy(ctx, latents, rows) : ops::Copy(ctx, rows, latents);
  };
  if (!packed) {
    copy(host.Permute({0, 2, 3, 1}), model.Slice(3, 0, host.shape[1]));
    return;
  }
  for (int64_t y = 0; y < 2; ++y) {
    for (int64_t x = 0; x < 2; ++x) {
      const Tensor pixels = EveryNth(EveryNth(host, 2, y, 2), 3, x, 2);
      copy(pixels.Permute({0, 2, 3, 1}), EveryNth(model, 3, 2 * y + x, 4));
    }
  }
}

}  // namespace

void DenoiseLoop::RunOnce(Context& ctx, AttentionRuntime& attention,
                          const Conditioning& conditioning, int step) {
  ArenaScope scope(ctx.arena);
  const ModelCall call(ctx, *this);
  const int64_t first = guidance.ActiveAt(step, Steps()) ? 0 : call.rows - call.n;
  call.Forward(ctx, attention, *this, conditioning, step, first);
}

bool DenoiseLoop::Run(Context& ctx, AttentionRuntime& attention, const Conditioning& conditioning,
                      std::span<float> latents) {
  ENSURE(static_cast<int64_t>(latents.size()) == shape.NumElements());
  ArenaScope scope(ctx.arena);
  const ModelCall call(ctx, *this);
  const int64_t n = call.n, c = shape[1];
  const bool packed = denoiser.Traits().packed;
  std::vector<float> scaled(latents.size()), before(latents.size());
  std::vector<float> output(latents.size() / static_cast<size_t>(n) *
                            static_cast<size_t>(call.rows));
  if (!extra.empty()) {
    const int64_t k = call.input.shape[3] - c;
    const Tensor given = HostView(extra, {n, k, shape[2], shape[3]});
    for (int64_t row = 0; row < call.rows; row += n) {
      ops::Copy(ctx, given.Permute({0, 2, 3, 1}), call.input.Slice(0, row, n).Slice(3, c, k));
    }
    ctx.backend.Synchronize();
  }

  const int steps = Steps();
  if (replay) std::copy(replay->latents.begin(), replay->latents.end(), latents.begin());
  for (int i = replay ? replay->step : 0; i < steps; ++i) {
    TRACE_ZONE("step");
    if (ctx.Cancelled()) return false;
    const auto begin = std::chrono::steady_clock::now();
    std::copy(latents.begin(), latents.end(), before.begin());
    std::copy(latents.begin(), latents.end(), scaled.begin());
    scheduler.ScaleModelInput(first_call + i, scaled);
    const bool guided = guidance.ActiveAt(i, steps);
    const int64_t first = guided ? 0 : call.rows - n, rows = call.rows - first;
    for (int64_t row = first; row < call.rows; row += n) {
      CopyLatents(ctx, HostView(scaled, shape), call.input.Slice(0, row, n), packed, true);
    }
    call.Forward(ctx, attention, *this, conditioning, i, first);
    if (ctx.Cancelled()) return false;
    const std::span<float> result = std::span(output).first(
        latents.size() / static_cast<size_t>(n) * static_cast<size_t>(rows));
    CopyLatents(ctx, HostView(result, {rows, c, shape[2], shape[3]}),
                call.output.Slice(0, first, rows), packed, false);
    ctx.backend.Synchronize();

    const std::span<float> combined =
        guided ? guidance.Combine(result, static_cast<size_t>(n)) : result;
    if (replay) {
      replay->model_output->assign(combined.begin(), combined.end());
      return true;
    }
    scheduler.Step(first_call + i, combined, latents, draw);
    if (keep) keep(first_call + i + 1, latents);
    if (on_step) {
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
      const double timestep = scheduler.Timesteps()[static_cast<size_t>(first_call + i)];
      on_step({i, steps, timestep, seconds.count(), shape, before, combined, latents,
               scheduler.PredictedClean()});
    }
  }
  return true;
}

}  // namespace fovea
