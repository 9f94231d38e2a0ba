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

struct KnownTransformer {
  const char* name;
  int64_t width, blocks;  // blocks: SD3's joint, FLUX's double ones
  int64_t positions;      // of SD3's table; 0: FLUX
  bool guidance;
};

constexpr KnownTransformer kTransformers[] = {
    {"sd3", 1536, 24, 192 * 192, false},        {"sd35-medium", 1536, 24, 384 * 384, false},
    {"sd35-large", 2432, 38, 192 * 192, false}, {"flux-dev", 3072, 19, 0, true},
    {"flux-schnell", 3072, 19, 0, false},
};

// What tells one transformer from another.
struct SeenTransformer {
  int64_t width = 0, blocks = 0, positions = 0;
  bool guidance = false;
};

std::string_view WithoutPrefix(std::string_view name) {
  constexpr std::string_view kPrefix = "model.diffusion_model.";
  return name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : name;
}

SeenTransformer Look(const SafetensorsHeader& header) {
  SeenTransformer seen;
  for (const TensorEntry& entry : header.tensors) {
    const std::string_view name = WithoutPrefix(entry.name);
    const bool readable = entry.refusal.empty();
    if (name == "x_embedder.proj.weight" && readable && entry.shape.rank == 4) {
      seen.width = entry.shape[0];
    } else if (name == "img_in.weight" && readable && entry.shape.rank == 2) {
      seen.width = entry.shape[0];
    } else if (name == "pos_embed" && readable && entry.shape.rank == 3) {
      seen.positions = entry.shape[1];
    } else if (name == "guidance_in.in_layer.weight") {
      seen.guidance = true;
    } else if (name.ends_with(".x_block.attn.qkv.weight") ||
               name.ends_with(".img_attn.qkv.weight")) {
      ++seen.blocks;
    }
  }
  return seen;
}

// Inputs of a matrix or a filter bank; 0 for anything else.
int64_t Inputs(const TensorEntry& entry) {
  return entry.refusal.empty() && entry.shape.rank >= 2 ? entry.shape[1] : 0;
}

}  // namespace

std::vector<std::string> ConfigNames() {
  std::vector<std::string> names;
  for (const KnownConfig& config : kConfigs) names.emplace_back(config.name);
  for (const KnownTransformer& config : kTransformers) names.emplace_back(config.name);
  return names;
}

ConfigFit FitConfigs(const SafetensorsHeader& header) {
  ConfigFit fit;
  if (const SeenTransformer seen = Look(header); seen.width > 0) {
    fit.has_denoiser = true;
    for (const KnownTransformer& config : kTransformers) {
      if (config.width == seen.width && config.blocks == seen.blocks &&
          config.positions == seen.positions && config.guidance == seen.guidance) {
        fit.names.emplace_back(config.name);
      }
    }
    fit.seen = std::to_string(seen.blocks) + " blocks of " + std::to_string(seen.width) +
               " channels, " +
               (seen.positions > 0
                    ? std::to_string(seen.positions) + " positions"
                    : std::string(seen.guidance ? "with" : "without") + " embedded guidance");
    return fit;
  }
  int64_t in = 0, text = 0, vector = 0;
  for (const TensorEntry& entry : header.tensors) {
    const std::string_view name = entry.name;
    if (!name.starts_with("model.diffusion_model.")) continue;
    if (name.ends_with(".attn2.to_k.weight")) text = Inputs(entry);
    if (name == "model.diffusion_model.label_emb.0.0.weight") vector = Inputs(entry);
    if (name != "model.diffusion_model.input_blocks.0.0.weight") continue;
    in = Inputs(entry);
    fit.has_denoiser = true;
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
