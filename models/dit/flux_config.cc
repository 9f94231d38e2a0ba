#include "models/dit/flux_config.h"

#include "models/dit/transformer_fields.h"
#include "models/layers.h"

namespace fovea {

FluxConfig ReadFluxConfig(const Config& config) {
  FluxConfig flux;
  flux.patch = static_cast<int>(config.Int("patch_size", 1, 64, 1));
  flux.in_channels = config.Int("in_channels", 1, kMaxDitChannels, 64);
  flux.out_channels = config.Int("out_channels", 1, kMaxDitChannels, flux.in_channels);
  flux.layers = static_cast<int>(config.Int("num_layers", 0, kMaxDitLayers, 19));
  flux.single_layers = static_cast<int>(config.Int("num_single_layers", 0, kMaxDitLayers, 38));
  flux.heads = static_cast<int>(config.Int("num_attention_heads", 1, kMaxDitChannels, 24));
  flux.head_dim = config.Int("attention_head_dim", 1, kMaxDitChannels, 128);
  CheckDitChannels(config, flux.heads, flux.head_dim);
  flux.context_dim = config.Int("joint_attention_dim", 1, kMaxDitChannels, 4096);
  flux.pooled_dim = config.Int("pooled_projection_dim", 1, kMaxDitChannels, 768);
  flux.guidance = config.Bool("guidance_embeds", false);
  if (config.Has("axes_dims_rope")) {
    const auto axes = config.Ints("axes_dims_rope", -1, 2, kMaxDitChannels);
    if (axes.size() != flux.axes.size()) {
      ThrowUnsupportedField(config, "axes_dims_rope",
                            "must have 3 entries, one for each number of a position");
    }
    std::copy(axes.begin(), axes.end(), flux.axes.begin());
  }
  int64_t sum = 0;
  for (const int64_t axis : flux.axes) {
    if (axis % 2 != 0) ThrowBadField(config, "axes_dims_rope", "must hold even numbers");
    sum += axis;
  }
  if (sum != flux.head_dim) {
    ThrowBadField(config, "axes_dims_rope",
                  "must add up to attention_head_dim, which is " + std::to_string(flux.head_dim));
  }
  config.CheckAllRead();
  return flux;
}

}  // namespace fovea
