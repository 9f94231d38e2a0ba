#include "models/lora/lora_keys.h"

#include <algorithm>

namespace fovea {
namespace {

struct Ending {
  std::string_view text;
  LoraRole role;
};

// Longer ones first where one ends another.
constexpr Ending kEndings[] = {
    {".lora_down.weight", LoraRole::kDown},
    {".lora_up.weight", LoraRole::kUp},
    {".lora_mid.weight", LoraRole::kMid},
    {".alpha", LoraRole::kAlpha},
    {".lora_A.weight", LoraRole::kDown},
    {".lora_B.weight", LoraRole::kUp},
    {".lora_A.default.weight", LoraRole::kDown},
    {".lora_B.default.weight", LoraRole::kUp},
    {".lora_linear_layer.down.weight", LoraRole::kDown},
    {".lora_linear_layer.up.weight", LoraRole::kUp},
    {"_lora.down.weight", LoraRole::kDown},
    {"_lora.up.weight", LoraRole::kUp},
    {".lora.down.weight", LoraRole::kDown},
    {".lora.up.weight", LoraRole::kUp},
};

struct Foreign {
  std::string_view text;  // somewhere in the last two parts of the name
  std::string_view method;
};

constexpr Foreign kForeign[] = {
    {".dora_scale", "DoRA"},
    {".lora_magnitude_vector", "DoRA"},
    {".hada_", "LoHa (Hadamard products)"},
    {".lokr_", "LoKr (Kronecker products)"},
    {".oft_", "OFT (orthogonal rotations)"},
    {".boft_", "OFT (orthogonal rotations)"},
    {".on_input", "IA3"},
    {".diff_b", "a whole difference of a bias"},
    {".diff", "a whole difference of a weight"},
    {".w_norm", "a difference of a norm"},
    {".b_norm", "a difference of a norm"},
    {".lora_B.bias", "LoRA with a bias"},
    {".lora_up.bias", "LoRA with a bias"},
    {".lora_embedding_", "LoRA of an embedding"},
    {".set_weight", "a replaced weight"},
    {".reshape_weight", "a reshaped weight"},
};

struct Beginning {
  std::string_view text, component;
};

constexpr Beginning kBeginnings[] = {
    {"lora_unet_", "unet"},
    {"lora_te_", "text_encoder"},
    {"lora_te1_", "text_encoder"},
    {"lora_te2_", "text_encoder_2"},
    {"unet.", "unet"},
    {"text_encoder.", "text_encoder"},
    {"text_encoder_2.", "text_encoder_2"},
    {"base_model.model.", "unet"},  // peft's own wrapper, of one model
};

// A U-Net's own parts: files of its attention processors alone name no component.
constexpr std::string_view kUNetParts[] = {"down_blocks.",  "mid_block.", "up_blocks.",
                                           "conv_in",       "conv_out",   "time_embedding.",
                                           "add_embedding."};

void Replace(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// diffusers' attention processors named the projections of any attention alike.
void UndoProcessorNames(LoraKey& key) {
  Replace(key.path, "_processor_", "_");
  if (key.component == "unet") {
    if (key.path.ends_with("_to_out")) key.path += "_0";
    return;
  }
  for (const auto& [from, to] : {std::pair("_self_attn_to_q", "_self_attn_q_proj"),
                                 {"_self_attn_to_k", "_self_attn_k_proj"},
                                 {"_self_attn_to_v", "_self_attn_v_proj"},
                                 {"_self_attn_to_out", "_self_attn_out_proj"}}) {
    Replace(key.path, from, to);
  }
}

}  // namespace

std::string Underscored(std::string_view path) {
  std::string out(path);
  std::replace(out.begin(), out.end(), '.', '_');
  return out;
}

ParsedLoraKey ParseLoraKey(std::string_view name) {
  ParsedLoraKey parsed;
  for (const Foreign& foreign : kForeign) {
    if (name.find(foreign.text) == std::string_view::npos) continue;
    parsed.refusal = foreign.method;
    return parsed;
  }
  const auto ending = std::find_if(std::begin(kEndings), std::end(kEndings),
                                   [&](const Ending& each) { return name.ends_with(each.text); });
  if (ending == std::end(kEndings)) return parsed;
  LoraKey& key = parsed.key;
  key.role = ending->role;
  std::string_view layer = name.substr(0, name.size() - ending->text.size());
  key.layer = layer;
  for (const Beginning& beginning : kBeginnings) {
    if (!layer.starts_with(beginning.text)) continue;
    key.component = beginning.component;
    layer.remove_prefix(beginning.text.size());
    break;
  }
  if (key.component.empty()) {
    const bool unet = std::any_of(std::begin(kUNetParts), std::end(kUNetParts),
                                  [&](std::string_view part) { return layer.starts_with(part); });
    if (!unet) return parsed;
    key.component = "unet";
  }
  if (layer.empty()) return parsed;
  key.path = Underscored(layer);
  UndoProcessorNames(key);
  parsed.known = true;
  return parsed;
}

}  // namespace fovea
