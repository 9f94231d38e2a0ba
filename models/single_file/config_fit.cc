#include "models/single_file/config_fit.h"

#include <cstdint>

namespace fovea {
namespace {

struct KnownConfig {
  const char* name;
  int64_t in_channels, text_channels;
  int64_t vector_channels;  // of pooled text and sizes together; 0: none
};

constexpr KnownConfig kConfigs[] = {
    {"sd15", 4, 768, 0},  {"sd15-inpaint", 9, 768, 0}, {"sd21-v", 4, 1024, 0},
    {"sd21", 4, 1024, 0}, {"sdxl", 4, 2048, 2816},     {"sdxl-refiner", 4, 1280, 2560},
};

// Inputs of a matrix or a filter bank; 0 for anything else.
int64_t Inputs(const TensorEntry& entry) {
  return entry.refusal.empty() && entry.shape.rank >= 2 ? entry.shape[1] : 0;
}

}  // namespace

std::vector<std::string> ConfigNames() {
  std::vector<std::string> names;
  for (const KnownConfig& config : kConfigs) names.emplace_back(config.name);
  return names;
}

ConfigFit FitConfigs(const SafetensorsHeader& header) {
  ConfigFit fit;
  int64_t in = 0, text = 0, vector = 0;
  for (const TensorEntry& entry : header.tensors) {
    const std::string_view name = entry.name;
    if (!name.starts_with("model.diffusion_model.")) continue;
    if (name.ends_with(".attn2.to_k.weight")) text = Inputs(entry);
    if (name == "model.diffusion_model.label_emb.0.0.weight") vector = Inputs(entry);
    if (name != "model.diffusion_model.input_blocks.0.0.weight") continue;
    in = Inputs(entry);
    fit.has_unet = true;
  }
  for (const KnownConfig& config : kConfigs) {
    if (config.in_channels == in && config.text_channels == text &&
        config.vector_channels == vector) {
      fit.names.emplace_back(config.name);
    }
  }
  fit.seen =
      std::to_string(in) + " input channels, text states of " + std::to_string(text) + " channels";
  if (vector > 0) fit.seen += ", a vector of " + std::to_string(vector);
  return fit;
}

}  // namespace fovea
