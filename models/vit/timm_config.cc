#include "models/vit/timm_config.h"

#include <algorithm>
#include <array>
#include <optional>

#include "models/layers.h"
#include "models/vit/vit_limits.h"

namespace fovea {
namespace {

struct Size {
  const char* name;
  int64_t width;
  int layers, heads;
};

constexpr std::array<Size, 5> kSizes = {{
    {"tiny", 192, 12, 3},
    {"small", 384, 12, 6},
    {"base", 768, 12, 12},
    {"large", 1024, 24, 16},
    {"huge", 1280, 32, 16},
}};

std::vector<std::string> Split(const std::string& text, char at) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t end = 0; end != std::string::npos; begin = end + 1) {
    end = text.find(at, begin);
    parts.push_back(text.substr(begin, end == std::string::npos ? end : end - begin));
  }
  return parts;
}

// Digits of at most 5 places.
std::optional<int64_t> AsNumber(const std::string& text) {
  if (text.empty() || text.size() > 5 || text.find_first_not_of("0123456789") != text.npos) {
    return std::nullopt;
  }
  return std::stoll(text);
}

[[noreturn]] void Unknown(const Config& config, const std::string& name) {
  ThrowUnsupportedField(config, "architecture",
                        "\"" + name +
                            "\" is not one that we have; there are vit_*, deit_*, deit3_* and "
                            "agent_deit_* of tiny, small, base, large and huge, of patches with a "
                            "class token");
}

// What the words of a name after its size say.
void ApplyWord(const Config& config, const std::string& name, const std::string& word,
               VitConfig& vit) {
  if (const auto number = AsNumber(word)) {
    vit.image_height = vit.image_width = *number;
  } else if (word.starts_with("patch")) {
    const auto patch = AsNumber(word.substr(5));
    if (!patch || *patch == 0) Unknown(config, name);
    vit.patch = *patch;
  } else if (word == "distilled") {
    vit.distillation_token = true;
  } else if (word == "clip") {
    vit.pre_norm = true;
    vit.eps = 1e-5;
  } else if (word == "quickgelu") {
    vit.act = Act::kQuickGelu;
  } else if (word == "dinov2") {
    vit.layer_scale = true;
    vit.image_height = vit.image_width = 518;
  } else if (word == "reg4") {
    vit.registers = 4;
    vit.prefix_positions = false;
  } else if (word == "miil") {
    vit.qkv_bias = false;
  } else if (word != "in21k" && word != "dino") {
    Unknown(config, name);
  }
}

// "vit_base_patch16_224.augreg_in1k": what follows the dot names a training, not a network.
VitConfig ParseArchitecture(const Config& config, const std::string& full_name) {
  const std::string name = full_name.substr(0, full_name.find('.'));
  std::vector<std::string> words = Split(name, '_');
  VitConfig vit;
  vit.class_name = kTimmClass;
  vit.naming = VitNaming::kTimm;
  vit.resize = VitResize::kBicubicAntialiased;
  vit.eps = 1e-6;
  const bool agent = words[0] == "agent";
  if (agent) words.erase(words.begin());
  const bool known =
      words.size() >= 2 &&
      (agent ? words[0] == "deit" : words[0] == "vit" || words[0] == "deit" || words[0] == "deit3");
  if (!known) Unknown(config, name);
  if (words[0] == "deit3") {
    vit.prefix_positions = false;
    vit.layer_scale = true;
  }
  const auto size = std::find_if(kSizes.begin(), kSizes.end(),
                                 [&](const Size& each) { return words[1] == each.name; });
  if (size == kSizes.end()) Unknown(config, name);
  vit.hidden = size->width;
  vit.layers = size->layers;
  vit.heads = size->heads;
  for (size_t i = 2; i < words.size(); ++i) ApplyWord(config, name, words[i], vit);
  if (agent) {
    vit.resize = VitResize::kBicubic;  // as its own loader resizes them
    vit.agents.assign(static_cast<size_t>(vit.layers), 0);
  }
  return vit;
}

// "49-49-49-49", or a list: agents of the four stages, in which DeiT's blocks are counted.
std::array<int, 4> ReadAgents(const Config& args) {
  std::vector<int64_t> counts(4, 49);
  if (args.Has("agent_num")) {
    counts = args.Ints("agent_num", 4, 1, 4096);
  }
  std::array<int, 4> agents{};
  for (size_t i = 0; i < agents.size(); ++i) {
    agents[i] = static_cast<int>(counts[i]);
    int side = 1;
    while (side * side < agents[i]) ++side;
    if (side * side != agents[i]) ThrowBadField(args, "agent_num", "must hold squares: 9, 49, 81");
  }
  return agents;
}

void ReadAgentFields(const Config& args, bool base, VitConfig& vit) {
  constexpr std::array<size_t, 6> kStageOfPair = {0, 1, 2, 2, 2, 3};
  const std::array<int, 4> agents = ReadAgents(args);
  const auto with = args.Int("agent_layer", -1, kMostLayers, base ? 4 : -1);
  const int64_t count = with > 0 ? std::min<int64_t>(with, vit.layers) : vit.layers;
  if (count > static_cast<int64_t>(2 * kStageOfPair.size())) {
    ThrowBadField(args, "depth", "must be at most 12 where every block has agents");
  }
  vit.agents.assign(static_cast<size_t>(vit.layers), 0);
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    vit.agents[i] = agents[kStageOfPair[i / 2]];
  }
  if (vit.PrefixTokens() != 1 || !vit.prefix_positions || vit.pre_norm || vit.layer_scale ||
      vit.image_height != vit.image_width) {
    ThrowUnsupportedField(args, "agent_num",
                          "goes with a plain DeiT only: square pictures and one class token");
  }
}

void ReadModelArgs(const Config& args, bool agent, bool base, VitConfig& vit) {
  vit.hidden = args.Int("embed_dim", 1, kMostWidth, vit.hidden);
  vit.layers = static_cast<int>(args.Int("depth", 0, kMostLayers, vit.layers));
  vit.heads = static_cast<int>(args.Int("num_heads", 1, kMostWidth, vit.heads));
  vit.channels = args.Int("in_chans", 1, kMostChannels, vit.channels);
  ReadSides(args, "img_size", vit.image_height, &vit.image_height, &vit.image_width);
  int64_t patch_width = 0;
  ReadSides(args, "patch_size", vit.patch, &vit.patch, &patch_width);
  if (vit.patch != patch_width) {
    ThrowUnsupportedField(args, "patch_size", "is not square; only square patches are supported");
  }
  const double mlp = static_cast<double>(vit.hidden) * args.Number("mlp_ratio", 4);
  if (!(mlp >= 1) || mlp > kMostMlp) {
    ThrowBadField(args, "mlp_ratio",
                  "must give the MLP 1 to " + std::to_string(kMostMlp) + " channels");
  }
  vit.mlp = static_cast<int64_t>(mlp);
  vit.qkv_bias = args.Bool("qkv_bias", vit.qkv_bias);
  vit.layer_scale = vit.layer_scale || args.Has("init_values");
  if (args.Has("init_values")) args.Number("init_values", 0);
  vit.registers = static_cast<int>(args.Int("reg_tokens", 0, kMostRegisters, vit.registers));
  vit.prefix_positions = !args.Bool("no_embed_class", !vit.prefix_positions);
  vit.register_positions = vit.prefix_positions;
  vit.pre_norm = args.Bool("pre_norm", vit.pre_norm);
  vit.patch_bias = !vit.pre_norm;
  vit.distillation_token = args.Bool("distilled", vit.distillation_token);
  if (vit.distillation_token && vit.registers > 0) {
    ThrowUnsupportedField(args, "reg_tokens", "does not go with a distillation token");
  }
  if (agent) ReadAgentFields(args, base, vit);
  args.Only("class_token", true);
  args.Only("qk_norm", false);
  args.Only("proj_bias", true);
  args.Only("final_norm", true);
  args.Only("fc_norm", false);
  args.Only("pos_embed", "learn");
  args.Only("global_pool", "token");
  args.OnlyNull("representation_size");
  args.Ignore({"num_classes", "dynamic_img_size", "dynamic_img_pad", "drop_rate", "pos_drop_rate",
               "patch_drop_rate", "proj_drop_rate", "attn_drop_rate", "drop_path_rate",
               "weight_init", "fix_init"});
  args.CheckAllRead();
}

}  // namespace

VitConfig ReadTimmConfig(const Config& config) {
  const std::string name = config.String("architecture", "");
  VitConfig vit = ParseArchitecture(config, name);
  const bool agent = name.starts_with("agent_");
  const Config args =
      config.Has("model_args") ? config.Object("model_args") : Config::Parse("{}", config.Where());
  vit.outputs = config.Int("num_classes", 0, kMostLabels, 1000);
  vit.outputs = args.Int("num_classes", 0, kMostLabels, vit.outputs);
  ReadModelArgs(args, agent, name.starts_with("agent_deit_base"), vit);
  if (vit.outputs == 0) {
    vit.head = VitHead::kClassToken;
  } else {
    vit.head = vit.distillation_token ? VitHead::kTwoClassifiers : VitHead::kClassifier;
  }
  if (config.Has("global_pool") && !config.String("global_pool", "").empty()) {
    config.Only("global_pool", "token");
  }
  config.Ignore({"architecture", "model_args", "num_features", "global_pool", "pretrained_cfg",
                 "label_names", "label_descriptions", "license", "tags"});
  config.CheckAllRead();
  CheckVitConfig(config, vit);
  return vit;
}

}  // namespace fovea
