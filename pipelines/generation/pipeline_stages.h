// The stages of a run on a diffusion model, each the same on the real backend and in dry runs:
// text, start, denoising, decoding. Where they take memory, they take it from ctx.arena.
#pragma once

#include <functional>
#include <memory>

#include "pipelines/generation/diffusion_model.h"
#include "pipelines/generation/start_latents.h"
#include "pipelines/sampling/denoise_loop.h"
#include "tensor/memory/host_tensor.h"

namespace fovea {

// `on_text` (may be empty) is told the states under diffusers' names. Asks ctx.Cancelled(); then
// the result is undefined.
Conditioning Condition(Context& ctx, const DiffusionModel& model, const GenerateSettings& settings,
                       const PromptTokens& tokens,
                       const std::function<void(const NamedTensors&)>& on_text);

// One denoising at one size: sampler, attention and loop that belong together.
struct DenoisePass {
  // The sampler's history is used up by a run.
  DenoisePass(const DiffusionModel& model, const GenerateSettings& settings, const Start& start,
              const std::function<void(const std::string&)>& warn = {});
  DenoisePass(const DenoisePass&) = delete;
  DenoisePass& operator=(const DenoisePass&) = delete;

  std::unique_ptr<Scheduler> scheduler;
  int calls;  // of the model
  AttentionRuntime attention;
  DenoiseLoop loop;
};

// The same callback behind a check of the model's output and of the latents that came of it, so
// that the first numbers that are not finite end the run: RequireFinite.
std::function<void(const StepView&)> WithFiniteSteps(
    const DiffusionModel& model, const std::function<void(const StepView&)>& on_step);

// Whether the VAE works in tiles at these settings.
bool TilesVae(const GenerateSettings& settings);

// latents (1,c,h,w) f32 on the host, as the loop leaves them -> (H,W,3) f32 in the arena, about
// [-1, 1].
Tensor DecodeLatents(Context& ctx, const DiffusionModel& model, const GenerateSettings& settings,
                     const Tensor& latents);

}  // namespace fovea
