#include "models/single_file/ldm_component.h"

#include <algorithm>
#include <charconv>

#include "models/config.h"

namespace fovea {
namespace {

struct KnownHome {
  std::string_view component;
  LdmModule module;
  std::string_view prefix;
  std::string_view probe;  // a tensor that every such module has
};

// In order of preference. Files of a VAE alone have no prefix.
constexpr KnownHome kHomes[] = {
    {"unet", LdmModule::kUNet, "model.diffusion_model.", "input_blocks.0.0.weight"},
    {"vae", LdmModule::kVae, "first_stage_model.", "decoder.mid.block_1.norm1.weight"},
    {"vae", LdmModule::kVae, "", "decoder.mid.block_1.norm1.weight"},
    {"vae", LdmModule::kVae, "vae.", "decoder.mid.block_1.norm1.weight"},
    {"transformer", LdmModule::kSd3, "model.diffusion_model.", "x_embedder.proj.weight"},
    {"transformer", LdmModule::kSd3, "", "x_embedder.proj.weight"},
    {"transformer", LdmModule::kFlux, "model.diffusion_model.", "img_in.weight"},
    {"transformer", LdmModule::kFlux, "", "img_in.weight"},
    {"text_encoder", LdmModule::kClip, "text_encoders.clip_l.transformer.",
     "text_model.embeddings.token_embedding.weight"},
    {"text_encoder_2", LdmModule::kClip, "text_encoders.clip_g.transformer.",
     "text_model.embeddings.token_embedding.weight"},
    {"text_encoder_2", LdmModule::kT5, "text_encoders.t5xxl.transformer.",
     "encoder.final_layer_norm.weight"},
    {"text_encoder_3", LdmModule::kT5, "text_encoders.t5xxl.transformer.",
     "encoder.final_layer_norm.weight"},
    {"text_encoder", LdmModule::kClip, "cond_stage_model.transformer.",
     "text_model.embeddings.token_embedding.weight"},
    {"text_encoder", LdmModule::kClip, "cond_stage_model.transformer.",
     "embeddings.token_embedding.weight"},
    {"text_encoder", LdmModule::kOpenClip, "cond_stage_model.model.", "token_embedding.weight"},
    {"text_encoder", LdmModule::kClip, "conditioner.embedders.0.transformer.",
     "text_model.embeddings.token_embedding.weight"},
    {"text_encoder_2", LdmModule::kOpenClip, "conditioner.embedders.1.model.",
     "token_embedding.weight"},
    {"text_encoder_2", LdmModule::kOpenClip, "conditioner.embedders.0.model.",
     "token_embedding.weight"},
};

bool HasTensor(const SafetensorsHeader& header, const std::string& name) {
  const auto found = std::lower_bound(
      header.tensors.begin(), header.tensors.end(), name,
      [](const TensorEntry& entry, const std::string& wanted) { return entry.name < wanted; });
  return found != header.tensors.end() && found->name == name;
}

class HomeNames final : public TensorNames {
 public:
  HomeNames(LdmHome home, const LdmLayout& layout) : home_(std::move(home)), layout_(layout) {}

  std::vector<StoredTensor> Find(std::string_view tensor) const override {
    std::vector<StoredTensor> out = LdmNames(home_.module, tensor, layout_);
    for (StoredTensor& each : out) each.name.insert(0, home_.prefix);
    return out;
  }
  bool Owns(std::string_view file_tensor) const override {
    return file_tensor.starts_with(home_.prefix);
  }
  bool Excuses(std::string_view file_tensor) const override;

 private:
  LdmHome home_;
  LdmLayout layout_;
};

// What the original classes hold beside what makes pictures: the losses that a VAE was trained
// with, the last layers of a text encoder that is read before its end, and its projection.
bool HomeNames::Excuses(std::string_view file_tensor) const {
  file_tensor.remove_prefix(home_.prefix.size());
  switch (home_.module) {
    case LdmModule::kUNet:
    case LdmModule::kSd3:
    case LdmModule::kFlux:
    case LdmModule::kT5:
      return false;
    case LdmModule::kVae:
      return file_tensor.starts_with("loss.");
    case LdmModule::kClip:
      return file_tensor == "text_projection.weight";
    case LdmModule::kOpenClip:
      break;
  }
  if (file_tensor == "text_projection") return true;
  constexpr std::string_view kLayers = "transformer.resblocks.";
  if (!file_tensor.starts_with(kLayers)) return false;
  int layer = -1;
  const char* digits = file_tensor.data() + kLayers.size();
  std::from_chars(digits, file_tensor.data() + file_tensor.size(), layer);
  return layer >= layout_.text_layers;
}

}  // namespace

std::optional<LdmHome> FindLdmHome(const SafetensorsHeader& header, std::string_view component,
                                   std::string_view class_name) {
  const bool t5 = class_name == "T5EncoderModel";
  for (const KnownHome& home : kHomes) {
    if (home.component != component) continue;
    if (!class_name.empty() && t5 != (home.module == LdmModule::kT5)) continue;
    if (!HasTensor(header, std::string(home.prefix) + std::string(home.probe))) continue;
    return LdmHome{home.module, std::string(home.prefix)};
  }
  return std::nullopt;
}

LdmLayout ReadLdmLayout(const std::filesystem::path& config_json) {
  const Config config = Config::ReadFile(config_json);
  LdmLayout layout;
  if (config.Has("layers_per_block")) {
    const auto layers = config.Ints("layers_per_block", -1, 1, 256);
    if (!layers.empty()) layout.layers_per_block = static_cast<int>(layers.front());
  }
  if (config.Has("block_out_channels")) {
    layout.vae_levels = static_cast<int>(config.Ints("block_out_channels", -1, 1, 1 << 16).size());
  }
  layout.joint_blocks = static_cast<int>(config.Int("num_layers", 0, 1024, 0));
  layout.text_layers = static_cast<int>(config.Int("num_hidden_layers", 0, 1024, 0));
  return layout;
}

std::shared_ptr<const TensorNames> LdmTensorNames(const LdmHome& home, const LdmLayout& layout) {
  return std::make_shared<HomeNames>(home, layout);
}

}  // namespace fovea
