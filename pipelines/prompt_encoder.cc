#include "pipelines/prompt_encoder.h"

#include <algorithm>

#include "models/component_weights.h"
#include "pipelines/conditioning.h"
#include "tensor/ops/elementwise.h"

namespace fovea {
namespace {

std::string Numbers(const std::string& a, int x, const std::string& b, int y) {
  return a + " " + std::to_string(x) + ", but " + b + " " + std::to_string(y);
}

}  // namespace

PromptEncoder::PromptEncoder(const ModelFolder& model, TextStates states) : states_(states) {
  if (states == TextStates::kLast) {
    Add(model, "", false);
    return;
  }
  // SDXL's refiner has the second encoder alone.
  if (model.Find("text_encoder") != nullptr) Add(model, "", false);
  Add(model, "_2", true);
  force_zeros_ = model.Flag("force_zeros_for_empty_prompt", true);
}

void PromptEncoder::Add(const ModelFolder& model, const std::string& suffix, bool projects) {
  Part part{"text_encoder" + suffix, {}, {}};
  const ComponentFolder& text = model.Get(part.name);
  const ComponentFolder& words = model.Get("tokenizer" + suffix);
  const std::string_view expected = projects ? "CLIPTextModelWithProjection" : "CLIPTextModel";
  if (text.class_name != expected) {
    throw Error(ErrorCode::kUnsupported, model.folder.string() + ": " + part.name + " is a " +
                                             text.class_name + "; " + model.pipeline_class +
                                             " is supported with " + std::string(expected));
  }
  part.tokenizer = ClipTokenizer::Open(words.folder, words.settings);
  weights_.push_back(OpenWeights(text));
  part.model = ClipTextModel::Load(Config::ReadFile(text.folder / "config.json"), weights_.back());
  const ClipTextTraits& traits = part.model->Traits();
  if (part.tokenizer->Vocabulary() > traits.vocabulary) {
    throw Error(ErrorCode::kBadFile,
                model.folder.string() + ": " +
                    Numbers("tokenizer" + suffix + " has words", part.tokenizer->Vocabulary(),
                            part.name + " vocab_size", traits.vocabulary));
  }
  parts_.push_back(std::move(part));
}

int PromptEncoder::ContextDim() const {
  int dim = 0;
  for (const Part& part : parts_) dim += part.model->Traits().hidden;
  return dim;
}

int PromptEncoder::PooledDim() const {
  return states_ == TextStates::kLast ? 0 : parts_.back().model->Traits().projection;
}

int PromptEncoder::MaxClipSkip() const {
  int layers = parts_[0].model->Traits().layers;
  for (const Part& part : parts_) layers = std::min(layers, part.model->Traits().layers);
  return states_ == TextStates::kLast ? layers : layers - 1;
}

PromptTokens PromptEncoder::Tokenize(const GenerateSettings& settings, bool guided,
                                     const std::function<void(const std::string&)>& warn) const {
  if (parts_.size() < 2 && !(settings.prompt_2.empty() && settings.negative_2.empty())) {
    throw Error(ErrorCode::kUnsupported,
                std::string(settings.prompt_2.empty() ? "negative-2" : "prompt-2") +
                    ": this model has one text encoder; leave it out");
  }
  const PromptWeights mode = ParsePromptWeights(settings.prompt_weights);
  PromptTokens tokens;
  tokens.zero_negative = force_zeros_ && !settings.negative && settings.negative_2.empty();
  const bool negative = guided && !tokens.zero_negative;
  int64_t count = 0;
  for (size_t i = 0; i < parts_.size(); ++i) {
    const auto windows = [&](std::string text, const std::string& second, std::string which) {
      if (i == 1 && !second.empty()) {
        text = second;
        which += " 2";
      } else if (i == 1 && parts_[0].tokenizer->Length() == parts_[1].tokenizer->Length()) {
        which.clear();  // the first encoder's window has told it
      }
      const ClipTokenizer& tokenizer = *parts_[i].tokenizer;
      PromptWindows made = MakeWindows(tokenizer, parts_[i].WindowLength(), text, mode, which,
                                       which.empty() ? nullptr : warn);
      count = std::max(count, made.Count());
      return made;
    };
    tokens.positive.push_back(windows(settings.prompt, settings.prompt_2, "prompt"));
    tokens.negative.push_back(windows(negative ? settings.negative.value_or("") : "",
                                      negative ? settings.negative_2 : "", "negative prompt"));
  }
  for (auto* side : {&tokens.positive, &tokens.negative}) {
    for (PromptWindows& windows : *side) PadWindows(count, &windows);
  }
  return tokens;
}

PromptReading PromptEncoder::Read(const GenerateSettings& settings,
                                  const std::string& prompt) const {
  const ClipTokenizer& tokenizer = *parts_[0].tokenizer;
  PromptReading reading;
  const int length = parts_[0].WindowLength();
  const PromptWindows windows = MakeWindows(
      tokenizer, length, prompt, ParsePromptWeights(settings.prompt_weights), "prompt", {});
  reading.windows = static_cast<int>(windows.Count());
  reading.window_length = length;
  for (int w = 0; w < reading.windows; ++w) {
    for (int i = 1; i < length; ++i) {  // after the start
      const auto at = static_cast<size_t>(w * length + i);
      const int32_t id = windows.ids[at];
      if (id == tokenizer.End()) break;
      std::string text = tokenizer.Token(id);
      const bool end = text.ends_with("</w>");
      if (end) text.resize(text.size() - 4);
      reading.tokens.push_back({text, windows.weights[at], end, {static_cast<int>(at)}});
    }
  }
  return reading;
}

void PromptEncoder::Encode(Context& ctx, std::span<const PromptWindows> windows, int skip,
                           const Tensor& states, const Tensor& pooled) const {
  ENSURE(windows.size() == parts_.size() && states.shape[2] == ContextDim());
  AttentionRuntime attention;
  TextLayer layer{skip, true};
  if (states_ == TextStates::kPenultimate) layer = {skip + 1, false};
  int64_t first = 0;
  for (size_t i = 0; i < parts_.size() && !ctx.Cancelled(); ++i) {
    const int64_t width = parts_[i].model->Traits().hidden;
    const bool last = i + 1 == parts_.size();
    EncodePrompt(ctx, attention, *parts_[i].model, windows[i], layer, states.Slice(2, first, width),
                 last ? pooled : Tensor{});
    first += width;
  }
}

}  // namespace fovea
