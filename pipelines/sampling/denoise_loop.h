// The sampling loop: noise to latents, guided, observed, cancellable.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "attention/attention_runtime.h"
#include "models/denoiser.h"
#include "pipelines/sampling/guidance.h"
#include "pipelines/sampling/hires.h"
#include "pipelines/sampling/scheduler.h"
#include "tensor/context.h"

namespace fovea {

// What one denoising step saw and made; NCHW f32 on the host, valid during the callback.
struct StepView {
  int step = 0, steps = 0;  // 0-based calls of the model in this run
  double timestep = 0, seconds = 0;
  Shape shape;  // (n,c,h,w)
  std::span<const float> latents_in, model_output, latents_out, predicted_clean;
};

// What the model is asked with at every step. With guidance the batch is 2n: the negative prompt's
// half stands first.
struct Conditioning {
  Tensor context;                    // (n or 2n, t, c) f32, or empty
  Tensor timestep_cond = {};         // (n or 2n, c) f32, or empty
  Tensor text_embeds = {};           // (n or 2n, c) f32, where the model has them
  std::vector<float> time_ids = {};  // as many for each sample
  // Of transformers: one a sample, and one for all.
  std::vector<int64_t> class_labels = {};
  std::vector<float> guidance = {};
};

// One call of a run again: from these latents, as they stood before it.
struct ReplayedCall {
  int step = 0;
  std::span<const float> latents;
  std::vector<float>* model_output;  // after guidance
};

struct DenoiseLoop {
  const Denoiser& denoiser;
  Scheduler& scheduler;
  Guidance guidance;
  Shape shape;  // of the latents: (n,c,h,w)
  DrawNoise draw;
  std::function<void(const StepView&)> on_step;  // may be empty
  Hires hires = {};
  float timestep_divisor = 1;  // of the scheduler's, for the model
  double ntk = 1;              // DenoiserInput::ntk
  int first_call = 0;  // of the scheduler's: those before it are left out, and steps count from it
  // As StartLatents': channels behind the latents' in every input, (n,k,h,w), and what is done to
  // the latents after each call.
  std::span<const float> extra = {};
  std::function<void(int next, std::span<float> latents)> keep = {};
  // If set, Run makes this call alone and leaves the latents that it was given undefined.
  std::optional<ReplayedCall> replay = {};

  int Steps() const { return static_cast<int>(scheduler.Timesteps().size()) - first_call; }
  // Latents (NCHW, f32, host) as they stand before the first call to clean, in place.
  // Claims no memory of the backend but from the arena. False: cancelled, latents undefined.
  bool Run(Context& ctx, AttentionRuntime& attention, const Conditioning& conditioning,
           std::span<float> latents);
  // One call of the model: what this step takes of the arena and of time. For dry runs.
  void RunOnce(Context& ctx, AttentionRuntime& attention, const Conditioning& conditioning,
               int step);
};

}  // namespace fovea
