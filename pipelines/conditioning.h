// Prompts to what the denoiser is conditioned on.
#pragma once

#include <functional>
#include <string>

#include "attention/attention_runtime.h"
#include "models/clip/clip_text_model.h"
#include "models/clip/clip_tokenizer.h"
#include "tensor/context.h"
#include "tensor/host_tensor.h"

namespace fovea {

// One window of the tokenizer's length: (1,t) i32. Text that does not fit is cut; `warn` (may be
// empty) is told what was cut of which prompt.
HostTensor TokenizePrompt(const ClipTokenizer& tokenizer, int length, const std::string& prompt,
                          const std::string& which,
                          const std::function<void(const std::string&)>& warn);

// Text states (1,t,hidden) f32 of ids (1,t), as StableDiffusionPipeline takes them: after `skip`
// layers fewer than all, then the final norm. `skip` is at most the number of layers.
void EncodeText(Context& ctx, AttentionRuntime& attention, const ClipTextModel& text,
                const HostTensor& ids, int skip, const Tensor& out);

// The embedding of a guidance scale that latent consistency models take, (n,c) f32: sines, then
// cosines, of 1000 (scale - 1) at c / 2 frequencies from 1 down to 1 / 10000.
HostTensor GuidanceEmbedding(double scale, int64_t n, int64_t c);

}  // namespace fovea
