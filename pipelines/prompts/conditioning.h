// What a denoiser is conditioned on: text states of one encoder, and numbers as embeddings.
#pragma once

#include <cstdint>

#include "attention/attention_runtime.h"
#include "models/clip/clip_text_model.h"
#include "pipelines/prompts/prompt_windows.h"
#include "tensor/context.h"
#include "tensor/memory/host_tensor.h"

namespace fovea {

// Which states of a text encoder are meant.
struct TextLayer {
  int skip = 0;            // layers fewer than all
  bool final_norm = true;  // behind them
};

// Text states (1, windows * t, hidden) f32, one window after the other; `out` may be strided.
// Weights are applied as A1111 does (states times weights, then the mean of the window restored) or
// as ComfyUI does (away from the states of the empty prompt). `pooled` (1,c) f32: the pooled text
// of the first window, without weights, as both do; or empty. layer.skip is at most the number of
// layers.
void EncodePrompt(Context& ctx, AttentionRuntime& attention, const ClipTextModel& text,
                  const PromptWindows& windows, const TextLayer& layer, const Tensor& out,
                  const Tensor& pooled = {});

// Into device memory; `host` may end when this returns.
void CopyFromHost(Context& ctx, const HostTensor& host, const Tensor& out);
void SetZero(Context& ctx, const Tensor& out);  // f32; nothing in a dry run

// The embedding of a guidance scale that latent consistency models take, (n,c) f32: sines, then
// cosines, of 1000 (scale - 1) at c / 2 frequencies from 1 down to 1 / 10000.
HostTensor GuidanceEmbedding(double scale, int64_t n, int64_t c);

}  // namespace fovea
