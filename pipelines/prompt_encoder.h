// The text side of a pipeline: its tokenizers and encoders, one or, as SDXL has, two.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/clip/clip_text_model.h"
#include "models/clip/clip_tokenizer.h"
#include "models/model_folder.h"
#include "models/weight_store.h"
#include "pipelines/pipeline_facts.h"
#include "pipelines/prompt_windows.h"
#include "pipelines/settings.h"
#include "tensor/context.h"

namespace fovea {

// Windows of tokens for each encoder, equally many everywhere.
struct PromptTokens {
  std::vector<PromptWindows> positive, negative;
  bool zero_negative = false;  // no negative prompt was given, and zeros stand for it
  int64_t Length() const { return positive[0].Count() * positive[0].length; }
};

// What a pipeline class takes of its encoders.
enum class TextStates : uint8_t {
  kLast,         // Stable Diffusion: the last layer's states behind the final norm
  kPenultimate,  // SDXL: those of the layer before, without the norm; and the pooled text
};

class PromptEncoder {
 public:
  // text_encoder and, for kPenultimate, text_encoder_2, as far as the folder has them, with their
  // tokenizers. Throws kBadFile, kUnsupported.
  PromptEncoder(const ModelFolder& model, TextStates states);

  int ContextDim() const;  // channels of all encoders' states, side by side
  int PooledDim() const;   // channels of the pooled text; 0: none
  int MaxClipSkip() const;
  const std::vector<std::shared_ptr<const WeightStore>>& Weights() const { return weights_; }

  // The first encoder reads prompt and negative, the second prompt_2 and negative_2 where they are
  // given. `guided`: the negative prompt counts. Throws kUnsupported for a second prompt without a
  // second encoder. `warn` may be empty.
  PromptTokens Tokenize(const GenerateSettings& settings, bool guided,
                        const std::function<void(const std::string&)>& warn) const;
  // For people: `prompt` alone, with the settings' weights.
  PromptReading Read(const GenerateSettings& settings, const std::string& prompt) const;
  // One prompt, its windows for each encoder, `skip` layers fewer than usual: to `states`
  // (1,t,ContextDim()) f32 and `pooled` (1,PooledDim()) f32, of the first window and without
  // weights; empty where there is none. Asks ctx.Cancelled(); then both are left undefined.
  void Encode(Context& ctx, std::span<const PromptWindows> windows, int skip, const Tensor& states,
              const Tensor& pooled) const;

 private:
  struct Part {
    std::string name;  // of the component
    std::unique_ptr<ClipTokenizer> tokenizer;
    std::unique_ptr<ClipTextModel> model;
    int WindowLength() const { return std::min(tokenizer->Length(), model->Traits().positions); }
  };
  void Add(const ModelFolder& model, const std::string& suffix, bool projects);

  TextStates states_;
  bool force_zeros_ = false;
  std::vector<Part> parts_;
  std::vector<std::shared_ptr<const WeightStore>> weights_;
};

}  // namespace fovea
