#include "models/dit/dit_config.h"

#include <array>

#include "models/dit/transformer_fields.h"
#include "models/layers.h"

namespace fovea {
namespace {

struct Activation {
  const char* name;
  Act act;
  bool gated;
};
constexpr std::array<Activation, 6> kActivations = {{{"gelu-approximate", Act::kGeluTanh, false},
                                                     {"gelu", Act::kGeluErf, false},
                                                     {"geglu", Act::kGeluErf, true},
                                                     {"geglu-approximate", Act::kQuickGelu, false},
                                                     {"swiglu", Act::kSilu, true},
                                                     {"linear-silu", Act::kSilu, false}}};

void ReadActivation(const Config& config, const char* otherwise, DitConfig& dit) {
  const std::string name = config.String("activation_fn", otherwise);
  std::string known;
  for (const Activation& each : kActivations) {
    if (name == each.name) {
      dit.act = each.act;
      dit.gated = each.gated;
      return;
    }
    known += (known.empty() ? "" : ", ") + std::string(each.name);
  }
  ThrowUnsupportedField(config, "activation_fn",
                        "\"" + name + "\" is not one that we have: " + known);
}

// The fields that Transformer2DModel has besides, for models that are no DiT.
void RefuseOtherTransformers(const Config& config) {
  for (const char* field : {"cross_attention_dim", "num_vector_embeds", "caption_channels"}) {
    config.OnlyNull(field);
  }
  config.Only("only_cross_attention", false);
  config.Only("double_self_attention", false);
  config.Only("attention_type", "default");
  config.Only("interpolation_scale", 1);
  // Of no effect where there are patches.
  config.Bool("use_linear_projection", false);
  config.Ignore({"use_additional_conditions"});
}

}  // namespace

DitConfig ReadDitConfig(const Config& config) {
  const bool general = config.ClassName() == "Transformer2DModel";
  // Transformer2DModel without patches is a block of a U-Net, and has other norms by default.
  if (general && (!config.Has("patch_size") || !config.Has("norm_type"))) {
    ThrowUnsupportedField(config, config.Has("patch_size") ? "norm_type" : "patch_size",
                          "is missing: of class Transformer2DModel only DiT can run");
  }
  config.Only("norm_type", "ada_norm_zero");
  RefuseOtherTransformers(config);
  DitConfig dit;
  dit.sample_size = static_cast<int>(config.Int("sample_size", 1, kMaxDitSample, 32));
  dit.patch = ReadPatch(config, dit.sample_size, 2);
  dit.in_channels = config.Int("in_channels", 1, kMaxDitChannels, 4);
  dit.out_channels = config.Int("out_channels", 1, kMaxDitChannels, dit.in_channels);
  dit.layers = static_cast<int>(config.Int("num_layers", 1, kMaxDitLayers, general ? 1 : 28));
  dit.heads = static_cast<int>(config.Int("num_attention_heads", 1, kMaxDitChannels, 16));
  dit.head_dim = config.Int("attention_head_dim", 1, kMaxDitChannels, general ? 88 : 72);
  CheckDitChannels(config, dit.heads, dit.head_dim);
  dit.attention_bias = config.Bool("attention_bias", !general);
  ReadActivation(config, general ? "geglu" : "gelu-approximate", dit);
  if (IsExplicitNull(config, "num_embeds_ada_norm")) {
    ThrowBadField(config, "num_embeds_ada_norm", "must be the number of classes");
  }
  dit.num_classes = static_cast<int>(config.Int("num_embeds_ada_norm", 1, 1 << 24, 1000));
  dit.norm_affine = config.Bool("norm_elementwise_affine", general);
  dit.norm_eps = config.Number("norm_eps", 1e-5);
  if (dit.norm_eps < 0) ThrowBadField(config, "norm_eps", "must not be negative");
  // Of no effect: training (dropout), precision (upcast_attention), a norm of models without
  // patches (norm_num_groups).
  config.Number("dropout", 0);
  config.Bool("upcast_attention", false);
  config.Ignore({"norm_num_groups"});
  config.CheckAllRead();
  return dit;
}

}  // namespace fovea
