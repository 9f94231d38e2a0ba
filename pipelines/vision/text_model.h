// CLIP's text tower: texts into vectors (`fovea embed`).
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "models/model_folder.h"
#include "pipelines/forward/forward.h"

namespace fovea {

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

}  // namespace fovea
