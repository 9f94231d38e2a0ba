#include "models/unet/unet_config.h"

#include <nlohmann/json.hpp>

#include "models/layers.h"

namespace fovea {
namespace {

constexpr int64_t kMaxChannels = 1 << 16;
constexpr int64_t kMaxLayers = 256;

bool IsExplicitNull(const Config& config, const char* field) {
  const auto it = config.Json().find(field);
  return it != config.Json().end() && it->is_null();
}

std::vector<int64_t> IntsOr(const Config& config, std::string_view field, int count, int64_t low,
                            int64_t high, int64_t otherwise) {
  if (!config.Has(field)) return std::vector<int64_t>(static_cast<size_t>(count), otherwise);
  return config.Ints(field, count, low, high);
}

// The block types that we have: whether each block has attention.
std::vector<bool> AttentionOfBlocks(const Config& config, const char* field, const char* plain,
                                    const char* crossing,
                                    const std::vector<std::string>& otherwise) {
  std::vector<bool> attention;
  for (std::string type : config.Has(field) ? config.Strings(field) : otherwise) {
    const std::string name = type;
    if (type.starts_with("UNetRes")) type.erase(0, 7);
    if (type != plain && type != crossing) {
      ThrowUnsupportedField(
          config, field,
          "\"" + name + "\" is not a block that we have: " + plain + ", " + crossing);
    }
    attention.push_back(type == crossing);
  }
  return attention;
}

int TransformerLayers(const Config& config, const char* field, const nlohmann::json& value) {
  if (!value.is_number_integer() || value < 0 || value > kMaxLayers) {
    ThrowBadField(config, field, "must hold whole numbers from 0 to " + std::to_string(kMaxLayers));
  }
  return value.get<int>();
}

// One int for all, one for each block, or a list for each block with one for each resnet.
// `resnets` holds the number of resnets of every block, in the order of the list.
std::vector<std::vector<int>> ReadTransformerLayers(const Config& config, const char* field,
                                                    const std::vector<int>& resnets, bool* nested) {
  std::vector<std::vector<int>> layers;
  const bool present = config.Has(field);
  config.Ignore({field});  // that is: read here
  const nlohmann::json value = present ? config.Json().at(field) : nlohmann::json(1);
  if (value.is_array() && value.size() != resnets.size()) {
    ThrowBadField(config, field,
                  "must have one entry a block, " + std::to_string(resnets.size()) + " in all");
  }
  for (size_t i = 0; i < resnets.size(); ++i) {
    const nlohmann::json& entry = value.is_array() ? value[i] : value;
    const size_t count = static_cast<size_t>(resnets[i]);
    if (!entry.is_array()) {
      layers.emplace_back(count, TransformerLayers(config, field, entry));
      continue;
    }
    *nested = true;
    if (entry.size() < count) {
      ThrowBadField(config, field,
                    "has a list of " + std::to_string(entry.size()) + " for a block of " +
                        std::to_string(count) + " resnets");
    }
    layers.emplace_back();
    for (const nlohmann::json& item : entry) {
      layers.back().push_back(TransformerLayers(config, field, item));
    }
  }
  return layers;
}

void ReadTransformers(const Config& config, UNetConfig& unet) {
  const size_t levels = unet.levels.size();
  std::vector<int> down, up;
  for (const UNetLevel& level : unet.levels) {
    down.push_back(level.layers);
    up.insert(up.begin(), level.layers + 1);
  }
  const char* forward_field = "transformer_layers_per_block";
  const char* reverse_field = "reverse_transformer_layers_per_block";
  bool nested = false;
  const auto forward = ReadTransformerLayers(config, forward_field, down, &nested);
  std::vector<std::vector<int>> reverse;
  if (config.Has(reverse_field)) {
    bool ignored = false;
    reverse = ReadTransformerLayers(config, reverse_field, up, &ignored);
  } else if (nested) {
    ThrowBadField(config, forward_field,
                  std::string("holds lists, so ") + reverse_field + " must be given");
  } else {
    for (size_t i = 0; i < levels; ++i) {
      reverse.emplace_back(static_cast<size_t>(up[i]), forward[levels - 1 - i].front());
    }
  }
  for (size_t i = 0; i < levels; ++i) {
    unet.levels[i].down_transformers = forward[i];
    unet.levels[i].up_transformers = reverse[levels - 1 - i];
  }
  unet.mid_transformers = forward.back().front();
}

void ReadLevels(const Config& config, UNetConfig& unet) {
  const std::vector<int64_t> channels = config.Has("block_out_channels")
                                            ? config.Ints("block_out_channels", -1, 1, kMaxChannels)
                                            : std::vector<int64_t>{320, 640, 1280, 1280};
  const std::vector<bool> down = AttentionOfBlocks(
      config, "down_block_types", "DownBlock2D", "CrossAttnDownBlock2D",
      {"CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"});
  const std::vector<bool> up = AttentionOfBlocks(
      config, "up_block_types", "UpBlock2D", "CrossAttnUpBlock2D",
      {"UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"});
  const size_t levels = channels.size();
  const int count = static_cast<int>(levels);
  if (levels == 0 || levels > 16) {
    ThrowBadField(config, "block_out_channels", "must have 1 to 16 entries");
  }
  if (down.size() != levels || up.size() != levels) {
    ThrowBadField(config, down.size() != levels ? "down_block_types" : "up_block_types",
                  "must have as many entries as block_out_channels, " + std::to_string(count));
  }
  const std::vector<int64_t> layers = IntsOr(config, "layers_per_block", count, 1, kMaxLayers, 2);
  config.OnlyNull("num_attention_heads");  // diffusers refuses it too
  const std::vector<int64_t> heads =
      IntsOr(config, "attention_head_dim", count, 1, kMaxChannels, 8);
  const std::vector<bool> only_cross = config.Bools("only_cross_attention", count, false);
  for (size_t i = 0; i < levels; ++i) {
    UNetLevel level;
    level.channels = channels[i];
    level.layers = static_cast<int>(layers[i]);
    level.heads = static_cast<int>(heads[i]);
    level.down_attention = down[i];
    level.up_attention = up[levels - 1 - i];
    level.only_cross_attention = only_cross[i];
    const bool mid = i + 1 == levels && unet.mid_attention;
    if ((level.down_attention || level.up_attention || mid) && level.heads > level.channels) {
      ThrowBadField(config, "attention_head_dim",
                    "asks for " + std::to_string(level.heads) + " heads in a block of " +
                        std::to_string(level.channels) + " channels");
    }
    unet.levels.push_back(level);
  }
  ReadTransformers(config, unet);
}

void ReadMid(const Config& config, UNetConfig& unet) {
  const std::string type = config.String("mid_block_type", "UNetMidBlock2DCrossAttn");
  if (IsExplicitNull(config, "mid_block_type")) {
    unet.mid_block = unet.mid_attention = false;
  } else if (type == "UNetMidBlock2D") {
    unet.mid_attention = false;
  } else if (type != "UNetMidBlock2DCrossAttn") {
    ThrowUnsupportedField(config, "mid_block_type",
                          "\"" + type +
                              "\" is not a block that we have: UNetMidBlock2DCrossAttn, "
                              "UNetMidBlock2D, null");
  }
  unet.mid_block_scale_factor = config.Number("mid_block_scale_factor", 1);
  if (unet.mid_block_scale_factor == 0) {
    ThrowBadField(config, "mid_block_scale_factor", "must not be zero");
  }
}

int64_t ReadContextDim(const Config& config, const UNetConfig& unet) {
  const int count = static_cast<int>(unet.levels.size());
  const std::vector<int64_t> dims =
      IntsOr(config, "cross_attention_dim", count, 1, kMaxChannels, 1280);
  int64_t dim = 0;
  for (size_t i = 0; i < dims.size(); ++i) {
    const UNetLevel& level = unet.levels[i];
    const bool mid = i + 1 == dims.size() && unet.mid_attention;
    if (!level.down_attention && !level.up_attention && !mid) continue;
    if (dim != 0 && dims[i] != dim) {
      ThrowUnsupportedField(config, "cross_attention_dim",
                            "differs between blocks; there is one width of text states");
    }
    dim = dims[i];
  }
  return dim == 0 ? dims.front() : dim;
}

int OddKernel(const Config& config, const char* field) {
  const int64_t kernel = config.Int(field, 1, 63, 3);
  if (kernel % 2 == 0) ThrowUnsupportedField(config, field, "must be odd");
  return static_cast<int>(kernel);
}

void ReadTime(const Config& config, UNetConfig& unet) {
  const int64_t first = unet.levels.front().channels;
  config.Only("time_embedding_type", "positional");
  unet.flip_sin_to_cos = config.Bool("flip_sin_to_cos", true);
  unet.freq_shift = config.Number("freq_shift", 0);
  if (first >= 2 && unet.freq_shift == static_cast<double>(first / 2)) {
    ThrowBadField(config, "freq_shift", "must differ from half of block_out_channels[0]");
  }
  unet.time_embedding_dim = config.Int("time_embedding_dim", 0, kMaxChannels, 0);
  if (unet.time_embedding_dim == 0) unet.time_embedding_dim = 4 * first;
  unet.time_embedding_act = ReadDiffusersAct(config, "time_embedding_act_fn", "");
  unet.timestep_post_act = ReadDiffusersAct(config, "timestep_post_act", "");
  unet.time_cond_proj_dim = config.Int("time_cond_proj_dim", 1, kMaxChannels, 0);
  const std::string shift = config.String("resnet_time_scale_shift", "default");
  unet.scale_shift = shift == "scale_shift";
  if (!unet.scale_shift && shift != "default") {
    ThrowUnsupportedField(config, "resnet_time_scale_shift",
                          "\"" + shift + "\" is not one that we have: default, scale_shift");
  }
}

// SDXL's pooled text and picture sizes.
void ReadAddition(const Config& config, UNetConfig& unet) {
  const std::string type = config.String("addition_embed_type", "");
  const char* in = "projection_class_embeddings_input_dim";
  const char* time = "addition_time_embed_dim";
  if (type.empty()) {
    config.Ignore({in, time});  // read by diffusers only for embeddings that are refused
    return;
  }
  if (type != "text_time") {
    ThrowUnsupportedField(config, "addition_embed_type",
                          "\"" + type + "\" is not one that we have: text_time");
  }
  unet.addition_dim = config.Int(in, 1, 1 << 20);
  unet.addition_time_dim = config.Int(time, 1, kMaxChannels);
  if (unet.freq_shift == static_cast<double>(unet.addition_time_dim / 2)) {
    ThrowBadField(config, "freq_shift", "must differ from half of addition_time_embed_dim");
  }
}

// What other block types and conditionings would need.
void RefuseTheRest(const Config& config) {
  for (const char* field :
       {"class_embed_type", "num_class_embeds", "encoder_hid_dim", "encoder_hid_dim_type"}) {
    config.OnlyNull(field);
  }
  config.Only("dual_cross_attention", false);
  config.Only("class_embeddings_concat", false);
  config.Only("attention_type", "default");
  // Of no effect: training (dropout), precision (upcast_attention), the shape of weights in the
  // file (use_linear_projection).
  config.Number("dropout", 0);
  config.Bool("upcast_attention", false);
  config.Bool("use_linear_projection", false);
  // Read by diffusers only for block types and embeddings that are refused above.
  config.Ignore({"resnet_skip_time_act", "resnet_out_scale_factor", "cross_attention_norm",
                 "mid_block_only_cross_attention", "addition_embed_type_num_heads"});
}

}  // namespace

UNetConfig ReadUNetConfig(const Config& config) {
  UNetConfig unet;
  unet.in_channels = config.Int("in_channels", 1, kMaxChannels, 4);
  unet.out_channels = config.Int("out_channels", 1, kMaxChannels, 4);
  const std::vector<int64_t> sample = IntsOr(config, "sample_size", 2, 1, 1 << 14, 64);
  unet.sample_height = static_cast<int>(sample[0]);
  unet.sample_width = static_cast<int>(sample[1]);
  unet.center_input_sample = config.Bool("center_input_sample", false);
  ReadMid(config, unet);
  ReadLevels(config, unet);
  unet.cross_attention_dim = ReadContextDim(config, unet);
  unet.downsample_padding = static_cast<int>(config.Int("downsample_padding", 0, 16, 1));
  unet.act = ReadDiffusersAct(config, "act_fn", "silu");
  if (IsExplicitNull(config, "norm_num_groups")) {
    ThrowUnsupportedField(config, "norm_num_groups", "must be a number");
  }
  unet.norm_num_groups = static_cast<int>(config.Int("norm_num_groups", 1, kMaxChannels, 32));
  unet.norm_eps = config.Number("norm_eps", 1e-5);
  if (unet.norm_eps < 0) ThrowBadField(config, "norm_eps", "must not be negative");
  ReadTime(config, unet);
  ReadAddition(config, unet);
  unet.conv_in_kernel = OddKernel(config, "conv_in_kernel");
  unet.conv_out_kernel = OddKernel(config, "conv_out_kernel");
  RefuseTheRest(config);
  config.CheckAllRead();
  return unet;
}

}  // namespace fovea
