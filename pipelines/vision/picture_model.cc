#include "pipelines/vision/picture_model.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <nlohmann/json.hpp>

#include "models/component_weights.h"
#include "models/require_finite.h"
#include "models/vit/vision_transformer.h"
#include "pipelines/prompts/class_labels.h"
#include "pipelines/vision/embedding.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr int64_t kMostLabels = 1 << 20;

// transformers' id2label, {"0": "tench", ...}, or timm's label_names, a list.
std::vector<std::string> ReadLabels(const Config& config) {
  std::vector<std::string> labels;
  if (config.Has("label_names") && config.Json().at("label_names").is_array()) {
    return config.Strings("label_names");
  }
  if (!config.Has("id2label")) return labels;
  const Config object = config.Object("id2label");
  for (const auto& [key, value] : object.Json().items()) {
    const bool digits =
        !key.empty() && key.size() <= 7 && key.find_first_not_of("0123456789") == std::string::npos;
    const int64_t index = digits ? std::stoll(key) : kMostLabels;
    if (index >= kMostLabels) {
      throw Error(ErrorCode::kBadFile, config.Where() + ": id2label must have indices for keys");
    }
    if (labels.size() <= static_cast<size_t>(index)) labels.resize(static_cast<size_t>(index) + 1);
    labels[static_cast<size_t>(index)] = object.String(key, "");
  }
  return labels;
}

std::vector<double> Softmax(const float* logits, int64_t count) {
  const float top = *std::max_element(logits, logits + count);
  std::vector<double> out(static_cast<size_t>(count));
  double sum = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = std::exp(static_cast<double>(logits[i]) - static_cast<double>(top));
    sum += out[i];
  }
  for (double& value : out) value /= sum;
  return out;
}

}  // namespace

std::unique_ptr<PictureModel> PictureModel::Load(const ComponentFolder& component,
                                                 Backend& backend) {
  std::unique_ptr<PictureModel> model(new PictureModel);
  model->where_ = component.folder.string();
  model->folder_ = component;
  model->preprocessing_ = ReadVitPreprocessing(component);
  model->labels_ = ReadLabels(ReadComponentConfig(component));
  model->component_ = Component::Load(component, backend);
  return model;
}

NamedTensors PictureModel::Inputs(const Image& image) const {
  NamedTensors inputs;
  inputs["pixel_values"] = preprocessing_.Apply(image);
  return inputs;
}

NamedTensors PictureModel::Run(const Image& image, const ForwardOptions& options) {
  NamedTensors outputs = component_->Forward(Inputs(image), options).outputs;
  if (!options.stop.stop_requested()) RequireFiniteOutputs(outputs, folder_);
  return outputs;
}

std::string PictureModel::LabelOf(int64_t index) const {
  const auto at = static_cast<size_t>(index);
  // As transformers calls them where nobody named them.
  const bool named = at < labels_.size() && !labels_[at].empty();
  return named ? labels_[at] : "LABEL_" + std::to_string(index);
}

ClassScore PictureModel::FindClass(const std::string& text, const std::string& where) const {
  const int64_t count = component_->Vit()->Traits().outputs;
  std::map<int64_t, std::string> names;
  for (int64_t i = 0; i < count; ++i) names[i] = LabelOf(i);
  const int64_t index = ClassLabels(std::move(names), static_cast<int>(count)).Find(text, where);
  return {index, LabelOf(index), 0};
}

Image PictureModel::Seen(const Image& image) const {
  const HostTensor pixels = preprocessing_.Apply(image);  // (1,3,h,w)
  const int64_t h = pixels.shape()[2], w = pixels.shape()[3];
  Image seen{static_cast<int>(w), static_cast<int>(h), {}};
  for (int64_t i = 0; i < h * w; ++i) {
    for (size_t c = 0; c < 3; ++c) {
      const auto value =
          static_cast<double>(pixels.Data<float>()[static_cast<int64_t>(c) * h * w + i]);
      const double of_255 =
          (value * preprocessing_.std[c] + preprocessing_.mean[c]) / preprocessing_.scale;
      seen.rgb.push_back(static_cast<uint8_t>(std::lround(std::clamp(of_255, 0.0, 255.0))));
    }
  }
  return seen;
}

std::vector<ClassScore> PictureModel::Classify(const Image& image, int64_t top,
                                               const ForwardOptions& options) {
  const NamedTensors outputs = Run(image, options);
  const auto found = outputs.find("logits");
  if (found == outputs.end()) {
    throw Error(ErrorCode::kUnsupported, where_ + ": a " + component_->ClassName() +
                                             " has no classifier; fovea embed gives its vectors");
  }
  const int64_t count = found->second.NumElements();
  const std::vector<double> probabilities = Softmax(found->second.Data<float>(), count);
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return probabilities[static_cast<size_t>(a)] > probabilities[static_cast<size_t>(b)];
  });
  order.resize(static_cast<size_t>(std::min(top, count)));
  std::vector<ClassScore> scores;
  for (const int64_t index : order) {
    scores.push_back({index, LabelOf(index), probabilities[static_cast<size_t>(index)]});
  }
  return scores;
}

HostTensor PictureModel::Embed(const Image& image, const ForwardOptions& options) {
  return EmbeddingOf(Run(image, options), {"image_embeds", "pooler_output", "last_hidden_state"});
}

}  // namespace fovea
