#include "models/dit/sd3_config.h"

#include "models/dit/transformer_fields.h"
#include "models/layers.h"

namespace fovea {

Sd3Config ReadSd3Config(const Config& config) {
  Sd3Config sd3;
  sd3.sample_size = static_cast<int>(config.Int("sample_size", 1, kMaxDitSample, 128));
  sd3.patch = ReadPatch(config, sd3.sample_size, 2);
  sd3.in_channels = config.Int("in_channels", 1, kMaxDitChannels, 16);
  sd3.out_channels = ReadOutChannels(config, sd3.in_channels, 16);
  sd3.layers = static_cast<int>(config.Int("num_layers", 1, kMaxDitLayers, 18));
  sd3.heads = static_cast<int>(config.Int("num_attention_heads", 1, kMaxDitChannels, 18));
  sd3.head_dim = config.Int("attention_head_dim", 1, kMaxDitChannels, 64);
  CheckDitChannels(config, sd3.heads, sd3.head_dim);
  sd3.context_dim = config.Int("joint_attention_dim", 1, kMaxDitChannels, 4096);
  if (config.Int("caption_projection_dim", 1, kMaxDitChannels, 1152) != sd3.Channels()) {
    ThrowUnsupportedField(config, "caption_projection_dim",
                          "must be " + std::to_string(sd3.Channels()) +
                              ", attention_head_dim times num_attention_heads, which the blocks "
                              "take text in");
  }
  sd3.pooled_dim = config.Int("pooled_projection_dim", 1, kMaxDitChannels, 2048);
  if (!IsExplicitNull(config, "pos_embed_max_size")) {
    sd3.max_grid = static_cast<int>(config.Int("pos_embed_max_size", 1, kMaxDitSample, 96));
  } else {
    sd3.max_grid = 0;
  }
  sd3.dual.assign(static_cast<size_t>(sd3.layers), false);
  if (config.Has("dual_attention_layers")) {
    for (const int64_t layer : config.Ints("dual_attention_layers", -1, 0, kMaxDitLayers)) {
      if (layer < sd3.layers) sd3.dual[static_cast<size_t>(layer)] = true;
    }
  }
  const std::string qk_norm = config.String("qk_norm", "");
  sd3.qk_norm = qk_norm == "rms_norm";
  if (!sd3.qk_norm && !qk_norm.empty()) {
    ThrowUnsupportedField(config, "qk_norm",
                          "\"" + qk_norm + "\" is not one that we have: rms_norm, null");
  }
  config.CheckAllRead();
  return sd3;
}

}  // namespace fovea
