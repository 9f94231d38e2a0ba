// What diffusers writes into the header of a LoRA file beside its tensors: alpha, since its names
// have no place for it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace fovea {

struct LoraMetadata {
  struct Component {
    std::optional<double> alpha;
    std::map<std::string, double> pattern;  // alpha of layers whose path ends so
  };
  std::map<std::string, Component> components;

  // Of the layer with this name in the file ("unet.down_blocks.0...to_q"); none if nothing is said.
  std::optional<double> Alpha(const std::string& component, std::string_view layer) const;
};

// The "lora_adapter_metadata" of a header, if it has one. Throws kBadFile; kUnsupported for options
// that change the result otherwise (rank-stabilised scaling, DoRA). Pure; fuzzed.
LoraMetadata ReadLoraMetadata(const std::map<std::string, std::string>& metadata,
                              const std::string& where);

}  // namespace fovea
