#include "pipelines/classify.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include <nlohmann/json.hpp>

#include "models/clip/clip_text_config.h"
#include "models/clip/clip_tokenizer.h"
#include "models/component_weights.h"
#include "models/vit/vision_transformer.h"
#include "pipelines/class_labels.h"
#include "pipelines/finite_stages.h"
#include "tensor/error.h"
#include "tensor/finite.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

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

HostTensor FirstRow(const HostTensor& table) {  // (1,dim) or (1,t,dim), f32
  const int64_t dim = table.shape()[table.shape().rank - 1];
  HostTensor row({dim}, DType::kF32);
  std::memcpy(row.data(), table.data(), row.Bytes());
  return row;
}

// Scores and vectors of NaN would look like an answer.
void RequireFiniteOutputs(const NamedTensors& outputs, const ComponentFolder& component) {
  for (const auto& [name, tensor] : outputs) {
    if (AllFinite(tensor.View())) continue;
    RequireFinite(tensor.View(), component.folder.string() + ": its output " + name,
                  {OpenWeights(component)});
  }
}

bool IsTextClass(const std::string& name) {
  return name == "CLIPTextModel" || name == "CLIPTextModelWithProjection";
}

template <class IsKind>
const ComponentFolder& FindOnly(const ModelFolder& folder, const IsKind& is_kind,
                                const std::string& kind) {
  const ComponentFolder* found = nullptr;
  std::string classes;
  for (const ComponentFolder& each : folder.components) {
    classes += (classes.empty() ? "" : ", ") + each.class_name;
    if (!is_kind(each.class_name)) continue;
    if (found != nullptr) {
      throw Error(ErrorCode::kUsage, folder.folder.string() + ": both " + found->name + " and " +
                                         each.name + " are a " + kind +
                                         "; name one with --component");
    }
    found = &each;
  }
  if (found == nullptr) {
    throw Error(ErrorCode::kUnsupported,
                folder.folder.string() + ": has no " + kind + "; it has " + classes);
  }
  return *found;
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
  const NamedTensors outputs = Run(image, options);
  for (const char* name : {"image_embeds", "pooler_output", "last_hidden_state"}) {
    if (const auto found = outputs.find(name); found != outputs.end()) {
      return FirstRow(found->second);
    }
  }
  return {};  // cancelled
}

TextModel::~TextModel() = default;

std::unique_ptr<TextModel> TextModel::Load(const ComponentFolder& component,
                                           const fs::path& tokenizer, Backend& backend) {
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
  for (const char* name : {"text_embeds", "pooler_output"}) {
    if (const auto found = outputs.find(name); found != outputs.end()) {
      return FirstRow(found->second);
    }
  }
  return {};  // cancelled
}

const ComponentFolder& FindPictureComponent(const ModelFolder& folder,
                                            const std::optional<std::string>& name) {
  if (name) {
    const ComponentFolder& named = folder.Get(*name);
    if (!IsVitClass(named.class_name)) {
      throw Error(ErrorCode::kUnsupported, folder.folder.string() + ": its " + *name + " is a " +
                                               named.class_name + ", not a Vision Transformer");
    }
    return named;
  }
  return FindOnly(folder, IsVitClass, "Vision Transformer");
}

const ComponentFolder& FindTextComponent(const ModelFolder& folder) {
  return FindOnly(folder, IsTextClass, "CLIP text model");
}

fs::path FindTextTokenizer(const ModelFolder& folder, const ComponentFolder& text) {
  if (const ComponentFolder* own = folder.Find("tokenizer")) return own->folder;
  for (const fs::path& path : {text.folder, text.folder / ".." / "tokenizer"}) {
    std::error_code error;
    if (fs::exists(path / "vocab.json", error) || fs::exists(path / "tokenizer.json", error)) {
      return path;
    }
  }
  throw Error(ErrorCode::kBadFile, text.folder.string() +
                                       ": has no tokenizer; texts need vocab.json and merges.txt, "
                                       "or tokenizer.json, there or in ../tokenizer");
}

}  // namespace fovea
