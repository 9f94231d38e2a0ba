// A LoRA file: low-rank additions to layers of a pipeline's components.
//
// Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (2021): a layer's weight gains
// alpha / rank * up * down. For convolutions `down` has the layer's kernel, or, decomposed once
// more (LyCORIS' LoCon with "mid"), `mid` has it between two 1x1 convolutions.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "models/files/safetensors.h"
#include "models/lora/lora_keys.h"
#include "tensor/weights/weight_delta.h"

namespace fovea {

struct LoraLayer {
  std::string name;  // as the file has it, for messages
  std::string component;
  const TensorEntry *down = nullptr, *up = nullptr, *mid = nullptr;
  std::optional<double> alpha;  // none: the rank
};

class LoraFile {
 public:
  // Throws kBadFile for names that are no LoRA's, listing them, and for layers that lack a part;
  // kUnsupported for other methods, naming them.
  static std::shared_ptr<const LoraFile> Open(const std::filesystem::path& path);

  const std::filesystem::path& Path() const { return file_->Path(); }
  std::vector<std::string> Components() const;  // each once, sorted
  // By "component/path", path with "_" for dots.
  const std::unordered_map<std::string, LoraLayer>& Layers() const { return layers_; }
  // scale * alpha / rank * up * down for a weight (out, in) or (out, in, kh, kw). Throws kBadFile
  // naming file and layer where it does not fit.
  LowRankProduct Product(const LoraLayer& layer, const Shape& weight, double scale) const;

 private:
  HostTensor Read(const TensorEntry& entry) const;  // f32
  std::shared_ptr<const SafetensorsFile> file_;
  std::unordered_map<std::string, LoraLayer> layers_;
};

}  // namespace fovea
