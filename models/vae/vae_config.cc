#include "models/vae/vae_config.h"

#include "models/layers.h"

namespace fovea {
namespace {

constexpr int64_t kMaxChannels = 1 << 16;

void CheckBlocks(const Config& config, const char* field, const std::string& known, size_t count) {
  const std::vector<std::string> types =
      config.Has(field) ? config.Strings(field) : std::vector<std::string>{known};
  for (const std::string& type : types) {
    if (type == known || type == "UNetRes" + known) continue;
    ThrowUnsupportedField(config, field, "\"" + type + "\" is not a block that we have: " + known);
  }
  if (types.size() != count) {
    ThrowBadField(config, field,
                  "must have as many entries as block_out_channels, " + std::to_string(count));
  }
}

}  // namespace

VaeConfig ReadVaeConfig(const Config& config) {
  VaeConfig vae;
  vae.in_channels = config.Int("in_channels", 1, kMaxChannels, 3);
  vae.out_channels = config.Int("out_channels", 1, kMaxChannels, 3);
  vae.latent_channels = config.Int("latent_channels", 1, kMaxChannels / 2, 4);
  if (config.Has("block_out_channels")) {
    vae.block_out_channels = config.Ints("block_out_channels", -1, 1, kMaxChannels);
  }
  const size_t levels = vae.block_out_channels.size();
  if (levels == 0 || levels > 16) {
    ThrowBadField(config, "block_out_channels", "must have 1 to 16 entries");
  }
  CheckBlocks(config, "down_block_types", "DownEncoderBlock2D", levels);
  CheckBlocks(config, "up_block_types", "UpDecoderBlock2D", levels);
  vae.layers_per_block = static_cast<int>(config.Int("layers_per_block", 1, 256, 1));
  vae.act = ReadDiffusersAct(config, "act_fn", "silu");
  vae.norm_num_groups = static_cast<int>(config.Int("norm_num_groups", 1, kMaxChannels, 32));
  vae.use_quant_conv = config.Bool("use_quant_conv", true);
  vae.use_post_quant_conv = config.Bool("use_post_quant_conv", true);
  vae.mid_block_add_attention = config.Bool("mid_block_add_attention", true);
  if (config.Has("sample_size")) {
    vae.sample_size = static_cast<int>(config.Ints("sample_size", 2, 1, 1 << 16).front());
  }
  vae.scaling_factor = config.Number("scaling_factor", 0.18215);
  vae.shift_factor = config.Number("shift_factor", 0);
  if (vae.scaling_factor == 0) ThrowBadField(config, "scaling_factor", "must not be zero");
  config.OnlyNull("latents_mean");
  config.OnlyNull("latents_std");
  config.Ignore({"force_upcast"});  // f16 is never computed in
  config.CheckAllRead();
  return vae;
}

}  // namespace fovea
