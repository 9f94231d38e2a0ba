#include "pipelines/sampling/denoise_loop.h"

#include <algorithm>
#include <chrono>

#include "tensor/ops/elementwise.h"
#include "tensor/trace.h"

namespace fovea {
namespace {

// A count of the sampler's steps from one of calls.
int SamplerSteps(const DenoiseLoop& loop, int calls) {
  const int each = loop.scheduler.CallsPerStep();
  return (calls + each - 1) / each;
}

// The model's input and output, with rows for all branches. A step takes those of its own.
struct ModelCall {
  ModelCall(Context& ctx, const DenoiseLoop& loop)
      : n(loop.shape[0]),
        rows(static_cast<int64_t>(loop.guidance->Branches().size()) * n),
        input(New(ctx, loop, loop.denoiser.Traits().in_channels)),
        output(New(ctx, loop, loop.denoiser.Traits().out_channels)) {}

  Tensor New(Context& ctx, const DenoiseLoop& loop, int64_t channels) const {
    const int64_t side = loop.denoiser.Traits().packed ? 2 : 1;
    return ctx.arena.New({rows, loop.shape[2] / side, loop.shape[3] / side, channels}, DType::kF32);
  }

  // The rows that a step takes, as one.
  Branch RowsAt(const DenoiseLoop& loop, int step) const {
    const std::span<const BranchKind> all = loop.guidance->Branches(), own = loop.BranchesAt(step);
    const auto first = std::search(all.begin(), all.end(), own.begin(), own.end());
    ENSURE(!own.empty() && first != all.end());
    return {BranchKind::kConditional, (first - all.begin()) * n,
            static_cast<int64_t>(own.size()) * n};
  }

  RowSplit SplitAt(const DenoiseLoop& loop, const BranchLayout& branches) const {
    const Branch prompt = branches.Find(BranchKind::kConditional, branches.Rows());
    const Branch worse = branches.Find(BranchKind::kPerturbed, branches.Rows());
    if (worse.rows == 0 || loop.perturbed.Empty()) return {};
    if (!loop.shares && loop.perturbed.skipped.empty()) return {};
    return {.base_rows = worse.first_row,
            .from = prompt.first_row,
            .count = prompt.rows,
            .site = loop.shares ? loop.perturbed.first_site : 0,
            .skipped = loop.perturbed.skipped};
  }

  void Forward(Context& ctx, AttentionRuntime& attention, const DenoiseLoop& loop,
               const Conditioning& conditioning, int step) const {
    const Branch own = RowsAt(loop, step);
    const Conditioning given = conditioning.Rows(own, rows);
    const float timestep =
        static_cast<float>(
            loop.scheduler.Timesteps()[static_cast<size_t>(loop.first_call + step)]) /
        loop.timestep_divisor;
    const BranchLayout branches(loop.BranchesAt(step), n);
    attention.BeginStep(step, loop.Steps(), branches);
    loop.denoiser.Forward(ctx, attention,
                          {.latent = input.Slice(0, own.first_row, own.rows),
                           .timestep = std::span(&timestep, 1),
                           .context = given.context,
                           .timestep_cond = given.timestep_cond,
                           .text_embeds = given.text_embeds,
                           .time_ids = given.time_ids,
                           .raunet = loop.hires.StageAt(step),
                           .split = SplitAt(loop, branches),
                           .class_labels = given.class_labels,
                           .guidance = given.guidance,
                           .ntk = loop.ntk},
                          output.Slice(0, own.first_row, own.rows));
  }

  int64_t n, rows;       // pictures; rows of all branches
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
  ModelCall(ctx, *this).Forward(ctx, attention, *this, conditioning, step);
}

Conditioning Conditioning::Rows(const Branch& some, int64_t rows) const {
  const auto own = [&](const Tensor& x) {
    return x.Empty() ? x : x.Slice(0, some.first_row, some.rows);
  };
  const auto values = [&](const auto& all) {
    const auto each = static_cast<int64_t>(all.size()) / rows;
    const auto begin = all.begin() + each * some.first_row;
    return std::decay_t<decltype(all)>(begin, begin + each * some.rows);
  };
  return {own(context),     own(timestep_cond),   own(text_embeds),
          values(time_ids), values(class_labels), guidance};
}

std::span<const BranchKind> DenoiseLoop::BranchesAt(int call) const {
  return guidance->BranchesAt(call / scheduler.CallsPerStep(), SamplerSteps(*this, Steps()));
}

std::vector<int> DenoiseLoop::StepsOfChange() const {
  std::vector<int> changes{0};
  for (int call = 1; call < Steps(); ++call) {
    const std::span<const BranchKind> now = BranchesAt(call), before = BranchesAt(call - 1);
    if (!std::equal(now.begin(), now.end(), before.begin(), before.end())) changes.push_back(call);
  }
  return changes;
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
    const Branch own = call.RowsAt(*this, i);
    for (int64_t row = 0; row < own.rows; row += n) {
      CopyLatents(ctx, HostView(scaled, shape), call.input.Slice(0, own.first_row + row, n), packed,
                  true);
    }
    call.Forward(ctx, attention, *this, conditioning, i);
    if (ctx.Cancelled()) return false;
    const std::span<float> result = std::span(output).first(
        latents.size() / static_cast<size_t>(n) * static_cast<size_t>(own.rows));
    CopyLatents(ctx, HostView(result, {own.rows, c, shape[2], shape[3]}),
                call.output.Slice(0, own.first_row, own.rows), packed, false);
    ctx.backend.Synchronize();

    const std::span<float> combined = guidance->Combine(
        i / scheduler.CallsPerStep(), SamplerSteps(*this, steps), result, static_cast<size_t>(n));
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
