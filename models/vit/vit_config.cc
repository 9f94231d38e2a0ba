#include "models/vit/vit_config.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <nlohmann/json.hpp>

#include "models/layers.h"
#include "models/pretrained_config.h"
#include "models/vit/timm_config.h"
#include "models/vit/vit_limits.h"

namespace fovea {
namespace {

// The transformers classes: which family's fields they have, and what follows the encoder.
struct KnownClass {
  const char* name;
  VitNaming naming;
  const char* prefix;
  VitHead head;
  bool distillation_token;
};

constexpr std::array<KnownClass, 9> kClasses = {{
    {"ViTModel", VitNaming::kVit, "vit.", VitHead::kTanhPooler, false},
    {"ViTForImageClassification", VitNaming::kVit, "vit.", VitHead::kClassifier, false},
    {"DeiTModel", VitNaming::kVit, "deit.", VitHead::kTanhPooler, true},
    {"DeiTForImageClassification", VitNaming::kVit, "deit.", VitHead::kClassifier, true},
    {"DeiTForImageClassificationWithTeacher", VitNaming::kVit, "deit.", VitHead::kTwoClassifiers,
     true},
    {"Dinov2Model", VitNaming::kDinov2, "dinov2.", VitHead::kClassToken, false},
    {"Dinov2WithRegistersModel", VitNaming::kDinov2, "dinov2_with_registers.", VitHead::kClassToken,
     false},
    {"CLIPVisionModel", VitNaming::kClip, "vision_model.", VitHead::kClipPooler, false},
    {"CLIPVisionModelWithProjection", VitNaming::kClip, "vision_model.", VitHead::kClipProjection,
     false},
}};

const KnownClass* FindClass(const std::string& name) {
  const auto found = std::find_if(kClasses.begin(), kClasses.end(),
                                  [&](const KnownClass& each) { return name == each.name; });
  return found == kClasses.end() ? nullptr : &*found;
}

// The number of classes is that of the labels, as transformers has it.
int64_t ReadLabelCount(const Config& config) {
  if (config.Has("num_labels")) return config.Int("num_labels", 1, kMostLabels);
  if (!config.Has("id2label")) return 2;
  const auto count = static_cast<int64_t>(config.Object("id2label").Json().size());
  if (count < 1 || count > kMostLabels) {
    ThrowBadField(config, "id2label", "must have 1 to " + std::to_string(kMostLabels) + " labels");
  }
  return count;
}

int64_t ReadMlpOfDinov2(const Config& config, int64_t hidden, bool swiglu) {
  const double ratio = config.Number("mlp_ratio", 4);
  const double width = static_cast<double>(hidden) * ratio;
  if (!(width >= 2) || width > kMostMlp) {
    ThrowBadField(config, "mlp_ratio",
                  "must give the MLP 2 to " + std::to_string(kMostMlp) + " channels");
  }
  const auto inner = static_cast<int64_t>(width);
  if (!swiglu) return inner;
  return (static_cast<int64_t>(static_cast<double>(inner * 2) / 3) + 7) / 8 * 8;
}

void ReadVitFields(const Config& config, VitConfig& vit) {
  vit.eps = config.Number("layer_norm_eps", 1e-12);
  vit.mlp = config.Int("intermediate_size", 1, kMostMlp, 3072);
  vit.qkv_bias = config.Bool("qkv_bias", true);
  if (vit.head == VitHead::kTanhPooler) {
    vit.outputs = config.Int("pooler_output_size", 1, kMostWidth, vit.hidden);
    config.Only("pooler_act", "tanh");
  } else {
    vit.outputs = ReadLabelCount(config);
  }
  config.Ignore({"pooler_output_size", "pooler_act", "encoder_stride", "num_labels"});
}

void ReadDinov2Fields(const Config& config, VitConfig& vit) {
  vit.eps = config.Number("layer_norm_eps", 1e-6);
  vit.qkv_bias = config.Bool("qkv_bias", true);
  vit.swiglu = config.Bool("use_swiglu_ffn", false);
  vit.mlp = ReadMlpOfDinov2(config, vit.hidden, vit.swiglu);
  vit.layer_scale = true;
  if (vit.class_name == "Dinov2WithRegistersModel") {
    vit.registers = static_cast<int>(config.Int("num_register_tokens", 0, kMostRegisters, 4));
    vit.resize = VitResize::kBicubicAntialiased;
  }
  if (config.Has("layerscale_value")) config.Number("layerscale_value", 1);
  config.Ignore({"layerscale_value", "drop_path_rate", "out_features", "out_indices", "stage_names",
                 "apply_layernorm", "reshape_hidden_states", "use_mask_token", "num_labels"});
}

void ReadClipFields(const Config& config, VitConfig& vit) {
  vit.eps = config.Number("layer_norm_eps", 1e-5);
  vit.mlp = config.Int("intermediate_size", 1, kMostMlp, 3072);
  vit.pre_norm = true;
  vit.patch_bias = false;
  vit.outputs = config.Int("projection_dim", 1, kMostWidth, 512);
}

}  // namespace

bool IsVitClass(const std::string& class_name) {
  return class_name == kTimmClass || FindClass(class_name) != nullptr;
}

void CheckVitConfig(const Config& config, const VitConfig& vit) {
  if (vit.hidden % vit.heads != 0) {
    ThrowBadField(config, vit.naming == VitNaming::kTimm ? "num_heads" : "num_attention_heads",
                  "(" + std::to_string(vit.heads) + ") must divide the " +
                      std::to_string(vit.hidden) + " channels");
  }
  if (vit.eps < 0) ThrowBadField(config, "layer_norm_eps", "must not be negative");
  if (vit.GridHeight() < 1 || vit.GridWidth() < 1) {
    ThrowBadField(config, vit.naming == VitNaming::kTimm ? "img_size" : "image_size",
                  "must hold at least one patch of " + std::to_string(vit.patch) + " pixels");
  }
}

VitConfig ReadVitConfig(const Config& config) {
  const std::string class_name = config.ClassName();
  if (class_name == kTimmClass) return ReadTimmConfig(config);
  const KnownClass* known = FindClass(class_name);
  if (known == nullptr) {
    throw Error(ErrorCode::kUnsupported,
                config.Where() + ": " + class_name + " is not a Vision Transformer that we have");
  }
  VitConfig vit;
  vit.class_name = class_name;
  vit.naming = known->naming;
  vit.prefix = known->prefix;
  vit.head = known->head;
  vit.distillation_token = known->distillation_token;
  const bool clip = vit.naming == VitNaming::kClip;

  vit.hidden = config.Int("hidden_size", 1, kMostWidth, 768);
  vit.layers = static_cast<int>(config.Int("num_hidden_layers", 0, kMostLayers, 12));
  vit.heads = static_cast<int>(config.Int("num_attention_heads", 1, kMostWidth, 12));
  vit.channels = config.Int("num_channels", 1, kMostChannels, 3);
  vit.act = ReadTransformersAct(config, "hidden_act", clip ? "quick_gelu" : "gelu");
  const int64_t own_patch = clip ? 32 : vit.class_name == "Dinov2Model" ? 14 : 16;
  ReadSides(config, "image_size", 224, &vit.image_height, &vit.image_width);
  int64_t patch_width = 0;
  ReadSides(config, "patch_size", own_patch, &vit.patch, &patch_width);
  if (vit.patch != patch_width) {
    ThrowUnsupportedField(config, "patch_size", "is not square; only square patches are supported");
  }
  if (vit.naming == VitNaming::kVit) ReadVitFields(config, vit);
  if (vit.naming == VitNaming::kDinov2) ReadDinov2Fields(config, vit);
  if (clip) ReadClipFields(config, vit);
  config.Ignore({"attention_dropout", "attention_probs_dropout_prob", "hidden_dropout_prob",
                 "dropout", "projection_dim"});
  IgnorePretrainedFields(config);
  config.CheckAllRead();
  CheckVitConfig(config, vit);
  return vit;
}

void ReadSides(const Config& config, std::string_view field, int64_t otherwise, int64_t* height,
               int64_t* width) {
  *height = *width = otherwise;
  if (!config.Has(field)) return;
  const std::vector<int64_t> sides = config.Ints(field, 2, 1, kMostPixels);
  *height = sides[0];
  *width = sides[1];
}

}  // namespace fovea
