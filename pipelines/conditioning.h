// Prompts to what the denoiser is conditioned on.
#pragma once

#include <cstdint>

#include "attention/attention_runtime.h"
#include "models/clip/clip_text_model.h"
#include "pipelines/prompt_windows.h"
#include "tensor/context.h"
#include "tensor/host_tensor.h"

namespace fovea {

// Text states (1, windows * t, hidden) f32, as StableDiffusionPipeline takes them: after `skip`
// layers fewer than all, then the final norm; one window after the other. Weights are applied as
// A1111 does (states times weights, then the mean of the window restored) or as ComfyUI does (away
// from the states of the empty prompt). `skip` is at most the number of layers.
void EncodePrompt(Context& ctx, AttentionRuntime& attention, const ClipTextModel& text,
                  const PromptWindows& windows, int skip, const Tensor& out);

// The embedding of a guidance scale that latent consistency models take, (n,c) f32: sines, then
// cosines, of 1000 (scale - 1) at c / 2 frequencies from 1 down to 1 / 10000.
HostTensor GuidanceEmbedding(double scale, int64_t n, int64_t c);

}  // namespace fovea
