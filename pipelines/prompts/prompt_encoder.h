// The text side of a pipeline: its tokenizers and encoders, up to three, or none.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "models/clip/clip_text_model.h"
#include "models/clip/clip_tokenizer.h"
#include "models/denoiser.h"
#include "models/model_folder.h"
#include "models/t5/t5_encoder.h"
#include "models/t5/t5_tokenizer.h"
#include "models/weight_store.h"
#include "pipelines/prompts/conditioning.h"
#include "pipelines/prompts/prompt_reading.h"
#include "pipelines/prompts/prompt_windows.h"
#include "pipelines/settings/settings.h"
#include "tensor/context.h"

namespace fovea {

enum class PromptHalf : uint8_t { kPositive, kNegative };

struct PromptTokens {
  // Windows of each CLIP encoder, equally many everywhere.
  std::vector<PromptWindows> positive, negative;
  std::vector<int32_t> t5_positive, t5_negative;  // empty without T5
  bool zero_negative = false;  // no negative prompt was given, and zeros stand for it
  int64_t length = 0;          // of the states that they become; 0: there are none
};

// What a pipeline class takes of its encoders.
enum class TextStates : uint8_t {
  kNone,           // DiT
  kLast,           // Stable Diffusion: the last layer's states behind the final norm
  kPenultimate,    // SDXL: those of the layer before, without the norm; and the pooled text
  kJoint,          // SD3: as SDXL of two CLIPs, then T5's states as more tokens; both pooled texts
  kLongAndPooled,  // FLUX: T5's states; the pooled text of CLIP
};

class PromptEncoder {
 public:
  // The text encoders of the class, as far as the folder has them where the class may do without,
  // with their tokenizers. Throws kBadFile, kUnsupported.
  PromptEncoder(const ModelFolder& model, TextStates states, const DenoiserTraits& network);

  int ContextDim() const { return context_dim_; }  // channels of the states
  int PooledDim() const { return pooled_dim_; }    // channels of the pooled text; 0: none
  int MaxClipSkip() const;
  // Whether no negative prompt is something else than an empty one.
  bool KnowsNoNegative() const { return states_ == TextStates::kLongAndPooled; }
  const std::vector<std::shared_ptr<const WeightStore>>& Weights() const { return weights_; }

  // The first encoder reads prompt and negative, the second and the third prompt_2, prompt_3 and so
  // on where they are given. `guided`: the negative prompt counts. T5 reads settings'
  // max_sequence_length tokens, without weights. Throws kUnsupported for a prompt without an
  // encoder that reads it. `warn` may be empty.
  PromptTokens Tokenize(const GenerateSettings& settings, bool guided,
                        const std::function<void(const std::string&)>& warn) const;
  // For people: `prompt` alone, with the settings' weights. What several encoders read has the
  // positions of all of them.
  PromptReading Read(const GenerateSettings& settings, const std::string& prompt) const;
  // One prompt, `skip` layers fewer than usual: to `states` (1,tokens.length,ContextDim()) f32 and
  // `pooled` (1,PooledDim()) f32, of the first window and without weights; empty where there is
  // none. Zeros stand in the place of an encoder that SD3 does without. Asks ctx.Cancelled(); then
  // both are left undefined.
  void Encode(Context& ctx, const PromptTokens& tokens, PromptHalf half, int skip,
              const Tensor& states, const Tensor& pooled) const;

 private:
  void ReadWindows(const std::string& prompt, PromptWeights mode, PromptReading* reading) const;
  struct Part {           // a CLIP
    std::string name;     // of the component
    bool second = false;  // reads prompt_2
    std::unique_ptr<ClipTokenizer> tokenizer;
    std::unique_ptr<ClipTextModel> model;
    int column = 0, pooled_column = -1;  // of its states and its pooled text; -1: not taken
    int WindowLength() const { return std::min(tokenizer->Length(), model->Traits().positions); }
  };
  struct Long {
    std::string name;
    std::unique_ptr<T5Tokenizer> tokenizer;
    std::unique_ptr<T5EncoderModel> model;
  };

  void AddClip(const ModelFolder& model, const std::string& suffix, bool projects);
  void AddLong(const ModelFolder& model, const std::string& suffix);
  void ArrangeJoint(const DenoiserTraits& network);
  void CheckPrompts(const GenerateSettings& settings) const;
  std::vector<int32_t> LongIds(const std::string& prompt, int length, PromptWeights mode,
                               const std::string& which,
                               const std::function<void(const std::string&)>& warn) const;
  TextLayer LayerOf(int skip) const;

  std::string where_;
  TextStates states_;
  bool force_zeros_ = false;
  std::vector<Part> parts_;
  Long long_;
  int context_dim_ = 0, pooled_dim_ = 0;
  std::vector<std::shared_ptr<const WeightStore>> weights_;
};

}  // namespace fovea
