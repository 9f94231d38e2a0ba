// Pictures into classes and vectors, and texts into vectors: `fovea classify` and `fovea embed`.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "models/model_folder.h"
#include "pipelines/forward.h"
#include "pipelines/image.h"
#include "pipelines/vit_preprocessing.h"

namespace fovea {

struct ClassScore {
  int64_t index = 0;
  std::string label;
  double probability = 0;
};

// A Vision Transformer with its preprocessing and its labels. One picture at a time, so that what a
// picture gives does not depend on its neighbours.
class PictureModel {
 public:
  // `backend` must outlive it. Throws kBadFile, kUnsupported.
  static std::unique_ptr<PictureModel> Load(const ComponentFolder& component, Backend& backend);

  // The `top` most probable classes, best first, the lower index first where two are equal. Throws
  // kUnsupported for a model without a classifier.
  std::vector<ClassScore> Classify(const Image& image, int64_t top, const ForwardOptions& options);
  // image_embeds, else pooler_output, else the class token's last state; not normalised.
  HostTensor Embed(const Image& image, const ForwardOptions& options);  // (dim) f32
  // Everything that `fovea forward` gives for the picture. Throws for NaN and infinity, as
  // RequireFinite.
  NamedTensors Run(const Image& image, const ForwardOptions& options);
  // What the network is given for a picture, and the network.
  NamedTensors Inputs(const Image& image) const;
  Component& Network() { return *component_; }
  // The class that a text names, or numbers. Throws kUsage, beginning with `where`.
  ClassScore FindClass(const std::string& text, const std::string& where) const;
  // What the network sees of a picture: resized and cropped.
  Image Seen(const Image& image) const;
  std::vector<AttentionSite> AttentionSites() const { return component_->AttentionSites(); }

 private:
  PictureModel() = default;
  std::string LabelOf(int64_t index) const;

  std::string where_;
  ComponentFolder folder_;
  std::unique_ptr<Component> component_;
  VitPreprocessing preprocessing_;
  std::vector<std::string> labels_;  // by index; empty: the config has none
};

class ClipTokenizer;

// CLIP's text tower with its tokenizer.
class TextModel {
 public:
  // `tokenizer` is a folder. Throws kBadFile, kUnsupported.
  static std::unique_ptr<TextModel> Load(const ComponentFolder& component,
                                         const std::filesystem::path& tokenizer, Backend& backend);
  ~TextModel();
  // text_embeds, or pooler_output of a model without projection; not normalised. A text that is too
  // long is cut; `cut` says so.
  HostTensor Embed(const std::string& utf8, const ForwardOptions& options, bool* cut);  // (dim) f32

 private:
  TextModel() = default;
  ComponentFolder folder_;
  std::unique_ptr<Component> component_;
  std::unique_ptr<ClipTokenizer> tokenizer_;
  int positions_ = 77;
};

// The component of `folder` that sees pictures, and the one that reads texts: the one that `name`
// says, or the only one of its kind. Throws kUsage, kBadFile or kUnsupported saying what there is.
const ComponentFolder& FindPictureComponent(const ModelFolder& folder,
                                            const std::optional<std::string>& name);
const ComponentFolder& FindTextComponent(const ModelFolder& folder);
// Where that component's tokenizer lies.
std::filesystem::path FindTextTokenizer(const ModelFolder& folder, const ComponentFolder& text);

}  // namespace fovea
