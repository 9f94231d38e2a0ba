#include "pipelines/vision/text_model.h"

#include <algorithm>

#include "models/clip/clip_text_config.h"
#include "models/clip/clip_tokenizer.h"
#include "models/component_weights.h"
#include "models/require_finite.h"
#include "pipelines/vision/embedding.h"

namespace fovea {

TextModel::~TextModel() = default;

std::unique_ptr<TextModel> TextModel::Load(const ComponentFolder& component,
                                           const std::filesystem::path& tokenizer,
                                           Backend& backend) {
  std::unique_ptr<TextModel> model(new TextModel);
  model->folder_ = component;
  model->tokenizer_ = ClipTokenizer::Open(tokenizer);
  model->positions_ =
      static_cast<int>(ReadClipTextConfig(ReadComponentConfig(component)).max_position_embeddings);
  model->component_ = Component::Load(component, backend);
  return model;
}

HostTensor TextModel::Embed(const std::string& utf8, const ForwardOptions& options, bool* cut) {
  std::vector<std::string> truncated;
  const int length = std::min(positions_, tokenizer_->Length());
  const std::vector<int32_t> ids = tokenizer_->EncodePadded(utf8, length, &truncated);
  *cut = !truncated.empty();
  NamedTensors inputs;
  inputs["input_ids"] = HostTensor({1, static_cast<int64_t>(ids.size())}, ids);
  const NamedTensors outputs = component_->Forward(inputs, options).outputs;
  if (!options.stop.stop_requested()) RequireFiniteOutputs(outputs, folder_);
  return EmbeddingOf(outputs, {"text_embeds", "pooler_output"});
}

}  // namespace fovea
