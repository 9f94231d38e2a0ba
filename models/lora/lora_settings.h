// The settings that stand beside an adapter's tensors, since PEFT's names have no place for them:
// in adapter_config.json, or in the header of diffusers' files.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fovea {

// What a layer's product is multiplied by: alpha / rank, or alpha / sqrt(rank).
struct LoraScaling {
  double alpha = 1;
  bool root = false;  // of the rank: Kalajdzievski, "Rank stabilization ... rsLoRA" (2023)
};

struct LoraSettings {
  struct Component {
    std::optional<double> alpha;
    bool rank_stabilised = false;
    bool magnitudes = false;                              // DoRA: its layers must have them
    std::vector<std::pair<std::string, double>> pattern;  // alpha of layers whose path ends so
  };
  // By the name in the settings: "unet", "transformer", ...; "": of whichever the file is for.
  std::map<std::string, Component> components;

  // Of a component by its name in a file, with the two names of a denoiser; null: nothing is said.
  const Component* Find(const std::string& component) const;
  // Of the layer with this name in the file ("unet.down_blocks.0...to_q"); none if nothing is said.
  // Throws kUnsupported, with `where` in front, where two patterns disagree.
  std::optional<LoraScaling> Of(const std::string& component, std::string_view layer,
                                const std::string& where) const;
};

// The "lora_adapter_metadata" of a header, if it has one: fields "unet.lora_alpha", or, where one
// model alone was saved, "lora_alpha". Throws kBadFile; kUnsupported for what changes the result
// otherwise. Pure; fuzzed.
LoraSettings ReadLoraMetadata(const std::map<std::string, std::string>& metadata,
                              const std::string& where);

// An adapter_config.json. Throws the same, kBadFile without lora_alpha too, and kUnsupported for
// other methods. Pure; fuzzed.
LoraSettings ParseAdapterConfig(std::string_view text, const std::string& where);

// Whether `layer`, or its end behind a dot, is what PEFT's pattern says: a regular expression of
// letters, ".", "\.", "\d" and "*" or "+" behind them. Throws kUnsupported for others, with `where`
// in front. Takes time in proportion to the product of the lengths. Pure; fuzzed.
bool MatchesLayer(std::string_view pattern, std::string_view layer, const std::string& where);

}  // namespace fovea
