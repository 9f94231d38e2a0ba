// An adapter file: additions to layers of a pipeline's components, of LoRA's or LyCORIS' methods.
//
// Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (2021): a layer's weight gains
// alpha / rank * up * down. For convolutions `down` has the layer's kernel, or, decomposed once
// more (LyCORIS' LoCon with "mid"), `mid` has it between two 1x1 convolutions. The other methods
// stand in models/lora/delta_terms.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "models/files/safetensors.h"
#include "models/lora/lora_settings.h"

namespace fovea {

enum class LoraMethod : uint8_t {
  kVectors,  // nothing for the weight: a bias or a norm alone
  kProduct,
  kHadamard,
  kKronecker,
  kWhole,
  kFactors,
  kRotations
};

struct LoraLayer {
  std::string name;  // as the file has it, for messages
  std::string component;
  LoraMethod method = LoraMethod::kVectors;
  std::map<std::string, const TensorEntry*, std::less<>> parts;  // as LoraKey names them
  std::optional<LoraScaling> scaling;                            // none: 1

  const TensorEntry* Find(std::string_view part) const;
  // Whether it adds to the weight of a layer that has one in two axes or four.
  bool AddsToWeight() const { return method != LoraMethod::kVectors; }
};

class LoraFile {
 public:
  // A .safetensors file; beside one called adapter_model.safetensors PEFT's adapter_config.json is
  // read. Throws kBadFile for names that are no adapter's, listing them, for layers that lack a
  // part and for settings that lack; kUnsupported for other methods, naming them.
  static std::shared_ptr<const LoraFile> Open(const std::filesystem::path& path);

  const std::filesystem::path& Path() const { return file_->Path(); }
  std::vector<std::string> Components() const;  // each once, sorted
  bool Has(std::string_view component) const;
  // By "component/path", path with "_" for dots.
  const std::unordered_map<std::string, LoraLayer>& Layers() const { return layers_; }

  HostTensor Read(const TensorEntry& entry) const;  // f32; throws kBadFile for NaN and infinity
  Tensor View(const TensorEntry& entry) const;      // the same, as the file has it
  // "FILE: layer NAME does not fit ...", with the shapes of its parts.
  [[noreturn]] void ThrowUnfit(const LoraLayer& layer, const Shape& weight) const;

 private:
  void AddTensor(const TensorEntry& entry, std::vector<std::string>& strays);
  void Finish(LoraLayer& layer, const LoraSettings& settings, const std::string& where) const;
  std::shared_ptr<const SafetensorsFile> file_;
  std::unordered_map<std::string, LoraLayer> layers_;
};

}  // namespace fovea
