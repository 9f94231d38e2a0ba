// A Vision Transformer that sees pictures: classes and vectors (`fovea classify`, `fovea embed`).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/model_folder.h"
#include "pipelines/forward/forward.h"
#include "pipelines/pictures/image.h"
#include "pipelines/vision/vit_preprocessing.h"

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

}  // namespace fovea
