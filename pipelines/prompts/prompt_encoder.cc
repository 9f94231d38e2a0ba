#include "pipelines/prompts/prompt_encoder.h"

#include <algorithm>
#include <tuple>

#include "models/component_weights.h"
#include "models/files/json_text.h"
#include "pipelines/prompts/prompt_reading.h"
#include "pipelines/prompts/prompt_syntax.h"
#include "tensor/ops/elementwise.h"

namespace fovea {
namespace {

std::string Numbers(const std::string& a, int x, const std::string& b, int y) {
  return a + " " + std::to_string(x) + ", but " + b + " " + std::to_string(y);
}

// The words alone: what an encoder without weights reads of a weighted prompt.
std::string WithoutWeights(const std::string& prompt, PromptWeights mode, bool* weighted) {
  if (mode == PromptWeights::kOff) return prompt;
  std::string text;
  for (const WeightedText& piece : ParsePrompt(prompt, mode)) {
    text += piece.breaks ? " " : piece.text;
    *weighted = *weighted || piece.weight != 1;
  }
  return text;
}

// What would mean something elsewhere and is read as words here, in one line a prompt.
void WarnOfSyntax(const std::string& prompt, PromptWeights mode, const std::string& which,
                  const std::function<void(const std::string&)>& warn) {
  if (!warn) return;
  std::string list;
  for (const std::string& each : UnreadSyntax(prompt, mode, which.starts_with("negative"))) {
    list += (list.empty() ? "" : ", ") + each;
  }
  if (!list.empty()) warn(which + ": read as words, without what they mean elsewhere: " + list);
}

}  // namespace

PromptEncoder::PromptEncoder(const ModelFolder& model, TextStates states,
                             const DenoiserTraits& network)
    : where_(model.folder.string()), states_(states) {
  const auto has = [&](const char* name) { return model.Find(name) != nullptr; };
  switch (states) {
    case TextStates::kNone:
      return;
    case TextStates::kLast:
      AddClip(model, "", false);
      break;
    case TextStates::kPenultimate:
      // SDXL's refiner has the second encoder alone.
      if (has("text_encoder")) AddClip(model, "", false);
      AddClip(model, "_2", true);
      force_zeros_ = model.Flag("force_zeros_for_empty_prompt", true);
      parts_.back().second = parts_.size() == 2;
      parts_.back().pooled_column = 0;
      pooled_dim_ = parts_.back().model->Traits().projection;
      break;
    case TextStates::kJoint:
      if (has("text_encoder")) AddClip(model, "", true);
      if (has("text_encoder_2")) {
        AddClip(model, "_2", true);
        parts_.back().second = true;
      }
      if (has("text_encoder_3")) AddLong(model, "_3");
      ArrangeJoint(network);
      return;
    case TextStates::kLongAndPooled:
      AddClip(model, "", false);
      AddLong(model, "_2");
      parts_.back().pooled_column = 0;
      pooled_dim_ = parts_.back().model->Traits().hidden;
      context_dim_ = long_.model->Traits().hidden;
      if (pooled_dim_ != network.pooled_dim) {
        throw Error(ErrorCode::kBadFile,
                    where_ + ": " +
                        Numbers("transformer pooled_projection_dim", network.pooled_dim,
                                "text_encoder hidden_size", pooled_dim_));
      }
      if (context_dim_ != network.context_dim) {
        throw Error(ErrorCode::kBadFile,
                    where_ + ": " +
                        Numbers("transformer joint_attention_dim", network.context_dim,
                                "text_encoder_2 d_model", context_dim_));
      }
      return;
  }
  for (Part& part : parts_) {
    part.column = context_dim_;
    context_dim_ += part.model->Traits().hidden;
  }
}

// Both CLIPs side by side, in states and in the pooled text. The place of one that is missing is as
// wide as its pooled text, which in SD3's encoders is as wide as their states.
void PromptEncoder::ArrangeJoint(const DenoiserTraits& network) {
  const auto bad = [&](const std::string& what) {
    throw Error(ErrorCode::kBadFile, where_ + ": " + what);
  };
  context_dim_ = network.context_dim;
  pooled_dim_ = network.pooled_dim;
  int states = 0, pooled = 0;
  for (Part& part : parts_) {
    const ClipTextTraits& traits = part.model->Traits();
    if (part.second && parts_.size() == 1) states = pooled = pooled_dim_ - traits.projection;
    part.column = states;
    part.pooled_column = pooled;
    states += traits.hidden;
    pooled += traits.projection;
    if (part.WindowLength() != parts_[0].WindowLength()) {
      bad(Numbers("text_encoder reads windows of", parts_[0].WindowLength(), "text_encoder_2 of",
                  part.WindowLength()));
    }
  }
  const bool fits = parts_.size() == 2 ? pooled == pooled_dim_ : pooled <= pooled_dim_;
  if (!fits || (!parts_.empty() && parts_[0].pooled_column < 0)) {
    bad(Numbers("transformer pooled_projection_dim", pooled_dim_,
                "the CLIP text encoders project to", pooled));
  }
  if (states > context_dim_) {
    bad(Numbers("transformer joint_attention_dim", context_dim_,
                "the CLIP text encoders' hidden_size together", states));
  }
  if (long_.model != nullptr && long_.model->Traits().hidden != context_dim_) {
    bad(Numbers("transformer joint_attention_dim", context_dim_, "text_encoder_3 d_model",
                long_.model->Traits().hidden));
  }
}

void PromptEncoder::AddClip(const ModelFolder& model, const std::string& suffix, bool projects) {
  Part part;
  part.name = "text_encoder" + suffix;
  const ComponentFolder& text = model.Get(part.name);
  const ComponentFolder& words = model.Get("tokenizer" + suffix);
  const std::string_view expected = projects ? "CLIPTextModelWithProjection" : "CLIPTextModel";
  if (text.class_name != expected) {
    throw Error(ErrorCode::kUnsupported, where_ + ": " + part.name + " is a " + text.class_name +
                                             "; " + model.pipeline_class + " is supported with " +
                                             std::string(expected));
  }
  part.tokenizer = ClipTokenizer::Open(words.folder, words.settings);
  weights_.push_back(OpenWeights(text));
  part.model = ClipTextModel::Load(ReadComponentConfig(text), weights_.back());
  const ClipTextTraits& traits = part.model->Traits();
  if (part.tokenizer->Vocabulary() > traits.vocabulary) {
    throw Error(ErrorCode::kBadFile,
                where_ + ": " +
                    Numbers("tokenizer" + suffix + " has words", part.tokenizer->Vocabulary(),
                            part.name + " vocab_size", traits.vocabulary));
  }
  parts_.push_back(std::move(part));
}

void PromptEncoder::AddLong(const ModelFolder& model, const std::string& suffix) {
  long_.name = "text_encoder" + suffix;
  const ComponentFolder& text = model.Get(long_.name);
  const ComponentFolder& words = model.Get("tokenizer" + suffix);
  if (text.class_name != "T5EncoderModel") {
    throw Error(ErrorCode::kUnsupported, where_ + ": " + long_.name + " is a " + text.class_name +
                                             "; " + model.pipeline_class +
                                             " is supported with T5EncoderModel");
  }
  long_.tokenizer = T5Tokenizer::Open(words.folder, words.settings);
  weights_.push_back(OpenWeights(text));
  long_.model = T5EncoderModel::Load(ReadComponentConfig(text), weights_.back());
  if (long_.tokenizer->Vocabulary() > long_.model->Traits().vocabulary) {
    throw Error(ErrorCode::kBadFile,
                where_ + ": " +
                    Numbers("tokenizer" + suffix + " has words", long_.tokenizer->Vocabulary(),
                            long_.name + " vocab_size", long_.model->Traits().vocabulary));
  }
}

int PromptEncoder::MaxClipSkip() const {
  if (parts_.empty() || states_ == TextStates::kLongAndPooled) return 0;
  int layers = parts_[0].model->Traits().layers;
  for (const Part& part : parts_) layers = std::min(layers, part.model->Traits().layers);
  return states_ == TextStates::kLast ? layers : layers - 1;
}

void PromptEncoder::CheckPrompts(const GenerateSettings& settings) const {
  const bool flux = states_ == TextStates::kLongAndPooled;
  const bool reads_second =
      flux || std::any_of(parts_.begin(), parts_.end(), [](const Part& p) { return p.second; });
  const bool reads_third = long_.model != nullptr && !flux;
  const std::tuple<const char*, const std::string&, bool> given[] = {
      {"prompt-2", settings.prompt_2, reads_second},
      {"negative-2", settings.negative_2, reads_second},
      {"prompt-3", settings.prompt_3, reads_third},
      {"negative-3", settings.negative_3, reads_third}};
  for (const auto& [name, text, reads] : given) {
    if (text.empty() || reads) continue;
    throw Error(ErrorCode::kUnsupported,
                std::string(name) + ": this model has no text encoder that reads it; leave it out");
  }
}

std::vector<int32_t> PromptEncoder::LongIds(
    const std::string& prompt, int length, PromptWeights mode, const std::string& which,
    const std::function<void(const std::string&)>& warn) const {
  if (long_.model == nullptr || length == 0) return {};
  bool weighted = false;
  std::string cut;
  const T5Window window =
      long_.tokenizer->EncodePadded(WithoutWeights(prompt, mode, &weighted), length, &cut);
  if (warn && !cut.empty()) {
    warn(which + " is longer than the " + std::to_string(length) +
         " tokens of --max-sequence-length; cut off: \"" + Printable(cut) + "\"");
  }
  if (warn && weighted) {
    warn(which + ": " + long_.name + ", a T5, reads its words without their weights" +
         (states_ == TextStates::kLongAndPooled ? ", and so they have no effect" : ""));
  }
  return window.ids;
}

PromptTokens PromptEncoder::Tokenize(const GenerateSettings& settings, bool guided,
                                     const std::function<void(const std::string&)>& warn) const {
  CheckPrompts(settings);
  const PromptWeights mode = ParsePromptWeights(settings.prompt_weights);
  const bool flux = states_ == TextStates::kLongAndPooled;
  PromptTokens tokens;
  tokens.zero_negative = force_zeros_ && !settings.negative && settings.negative_2.empty();
  const bool negative = guided && !tokens.zero_negative;
  const auto if_negative = [&](const std::string& text) { return negative ? text : ""; };
  const std::string prompt = settings.prompt, against = if_negative(settings.negative.value_or(""));
  for (const auto& [which, text] : {std::pair<const char*, std::string>{"prompt", prompt},
                                    {"prompt 2", settings.prompt_2},
                                    {"prompt 3", settings.prompt_3},
                                    {"negative prompt", against},
                                    {"negative prompt 2", if_negative(settings.negative_2)},
                                    {"negative prompt 3", if_negative(settings.negative_3)}}) {
    WarnOfSyntax(text, mode, which, warn);
  }
  int64_t count = 0;
  for (const Part& part : parts_) {
    const auto windows = [&](std::string text, const std::string& second, std::string which) {
      if (part.second && !second.empty()) {
        text = second;
        which += " 2";
      } else if (part.second && parts_[0].tokenizer->Length() == part.tokenizer->Length()) {
        which.clear();  // the first encoder's window has told it
      }
      bool weighted = false;
      // FLUX takes nothing but the pooled text, which has no weights and is of one window.
      if (flux) text = WithoutWeights(text, mode, &weighted);
      PromptWindows made =
          MakeWindows(*part.tokenizer, part.WindowLength(), text, flux ? PromptWeights::kOff : mode,
                      which, which.empty() ? nullptr : warn);
      count = std::max(count, made.Count());
      return made;
    };
    tokens.positive.push_back(windows(prompt, settings.prompt_2, "prompt"));
    tokens.negative.push_back(
        windows(against, if_negative(settings.negative_2), "negative prompt"));
  }
  for (auto* side : {&tokens.positive, &tokens.negative}) {
    for (PromptWindows& windows : *side) PadWindows(count, &windows);
  }
  const auto first_of = [](const std::string& own, const std::string& otherwise) {
    return own.empty() ? otherwise : own;
  };
  const int length = std::max(settings.max_sequence_length, 0);
  tokens.t5_positive = LongIds(first_of(flux ? settings.prompt_2 : settings.prompt_3, prompt),
                               length, mode, "prompt", warn);
  tokens.t5_negative =
      LongIds(first_of(if_negative(flux ? settings.negative_2 : settings.negative_3), against),
              length, mode, "negative prompt", warn);
  constexpr int kClipWindow = 77;  // where there is no CLIP to ask
  const int64_t clip = parts_.empty() ? kClipWindow : count * parts_[0].WindowLength();
  if (flux) {
    tokens.length = length;
  } else if (states_ == TextStates::kJoint) {
    tokens.length = clip + length;
  } else if (!parts_.empty()) {
    tokens.length = clip;
  }
  return tokens;
}

PromptReading PromptEncoder::Read(const GenerateSettings& settings,
                                  const std::string& prompt) const {
  PromptReading reading;
  const PromptWeights mode = ParsePromptWeights(settings.prompt_weights);
  const bool flux = states_ == TextStates::kLongAndPooled;
  if (!flux && !parts_.empty()) ReadWindows(prompt, mode, &reading);
  if (long_.model == nullptr) return reading;
  const int length =
      settings.max_sequence_length < 0 ? long_.tokenizer->Length() : settings.max_sequence_length;
  const int first = flux ? 0 : reading.windows * reading.window_length;
  bool weighted = false;
  auto tokens = ReadLong(*long_.tokenizer, WithoutWeights(prompt, mode, &weighted), length, first);
  if (flux) {
    reading.window_length = length;
    reading.starts = false;
  } else {
    reading.further = length;
  }
  if (reading.tokens.empty()) {
    reading.tokens = std::move(tokens);
  } else {
    AddPositions(tokens, &reading.tokens);
  }
  return reading;
}

void PromptEncoder::ReadWindows(const std::string& prompt, PromptWeights mode,
                                PromptReading* reading) const {
  const ClipTokenizer& tokenizer = *parts_[0].tokenizer;
  const int length = parts_[0].WindowLength();
  const PromptWindows windows = MakeWindows(tokenizer, length, prompt, mode, "prompt", {});
  reading->windows = static_cast<int>(windows.Count());
  reading->window_length = length;
  for (int w = 0; w < reading->windows; ++w) {
    for (int i = 1; i < length; ++i) {  // after the start
      const auto at = static_cast<size_t>(w * length + i);
      const int32_t id = windows.ids[at];
      if (id == tokenizer.End()) break;
      const TokenSpelling token = tokenizer.Spelling(id);
      reading->tokens.push_back(
          {token.bytes, windows.weights[at], token.ends_word, {static_cast<int>(at)}});
    }
  }
}

TextLayer PromptEncoder::LayerOf(int skip) const {
  const bool before_last = states_ == TextStates::kPenultimate || states_ == TextStates::kJoint;
  return before_last ? TextLayer{skip + 1, false} : TextLayer{skip, true};
}

void PromptEncoder::Encode(Context& ctx, const PromptTokens& tokens, PromptHalf half, int skip,
                           const Tensor& states, const Tensor& pooled) const {
  const bool positive = half == PromptHalf::kPositive;
  const auto& windows = positive ? tokens.positive : tokens.negative;
  const auto& ids = positive ? tokens.t5_positive : tokens.t5_negative;
  ENSURE(windows.size() == parts_.size() && states.shape[1] == tokens.length &&
         states.shape[2] == ContextDim());
  AttentionRuntime attention;
  const bool flux = states_ == TextStates::kLongAndPooled;
  if (states_ == TextStates::kJoint) {
    SetZero(ctx, states);
    SetZero(ctx, pooled);
  }
  for (size_t i = 0; i < parts_.size() && !ctx.Cancelled(); ++i) {
    const Part& part = parts_[i];
    const ClipTextTraits& traits = part.model->Traits();
    const int64_t rows = windows[i].Count() * windows[i].length;
    const int64_t pooled_width = traits.projection > 0 ? traits.projection : traits.hidden;
    ArenaScope scope(ctx.arena);
    const Tensor own_states = flux ? ctx.arena.New({1, rows, traits.hidden}, DType::kF32)
                                   : states.Slice(1, 0, rows).Slice(2, part.column, traits.hidden);
    EncodePrompt(
        ctx, attention, *part.model, windows[i], LayerOf(skip), own_states,
        part.pooled_column < 0 ? Tensor{} : pooled.Slice(1, part.pooled_column, pooled_width));
  }
  if (ids.empty() || ctx.Cancelled()) return;
  const auto count = static_cast<int64_t>(ids.size());
  const HostTensor row({1, count}, ids);
  long_.model->Forward(ctx, row.View(), states.Slice(1, tokens.length - count, count));
  ctx.backend.Synchronize();  // the ids may end now
}

}  // namespace fovea
