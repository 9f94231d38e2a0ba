#include "models/lora/lora_keys.h"

#include <algorithm>

namespace fovea {
namespace {

struct Ending {
  std::string_view text, part;
};

// Longer ones first where one ends another.
constexpr Ending kEndings[] = {
    {".lora_down.weight", "down"},
    {".lora_up.weight", "up"},
    {".lora_mid.weight", "mid"},
    {".lora_up.bias", "bias"},
    {".lora_A.weight", "down"},
    {".lora_B.weight", "up"},
    {".lora_B.bias", "bias"},
    {".lora_A.default.weight", "down"},
    {".lora_B.default.weight", "up"},
    {".lora_B.default.bias", "bias"},
    {".lora_linear_layer.down.weight", "down"},
    {".lora_linear_layer.up.weight", "up"},
    {"_lora.down.weight", "down"},
    {"_lora.up.weight", "up"},
    {"_lora1.down.weight", "down"},
    {"_lora1.up.weight", "up"},
    {"_lora2.down.weight", "down"},
    {"_lora2.up.weight", "up"},
    {".lora.down.weight", "down"},
    {".lora.up.weight", "up"},
    {".alpha", "alpha"},
    {".dora_scale", "magnitude"},
    {".lora_magnitude_vector", "magnitude"},
    {".lora_magnitude_vector.weight", "magnitude"},
    {".lora_magnitude_vector.default.weight", "magnitude"},
    {".hada_w1_a", "hada_w1_a"},
    {".hada_w1_b", "hada_w1_b"},
    {".hada_w2_a", "hada_w2_a"},
    {".hada_w2_b", "hada_w2_b"},
    {".hada_t1", "hada_t1"},
    {".hada_t2", "hada_t2"},
    {".lokr_w1", "lokr_w1"},
    {".lokr_w1_a", "lokr_w1_a"},
    {".lokr_w1_b", "lokr_w1_b"},
    {".lokr_w2", "lokr_w2"},
    {".lokr_w2_a", "lokr_w2_a"},
    {".lokr_w2_b", "lokr_w2_b"},
    {".lokr_t2", "lokr_t2"},
    {".diff", "diff"},
    {".diff_b", "diff_b"},
    {".w_norm", "w_norm"},
    {".b_norm", "b_norm"},
    {".on_input", "on_input"},
    {".oft_blocks", "oft_blocks"},
    {".rescale", "rescale"},
};

struct Foreign {
  std::string_view text;  // somewhere in the name
  std::string_view method;
};

constexpr Foreign kForeign[] = {
    {"bundle_emb.", "an embedding that kohya's trainer put into the file"},
    {".query_norm.scale", "BFL's control LoRA (it widens img_in)"},
    {".key_norm.scale", "BFL's control LoRA (it widens img_in)"},
    {".a1.weight", "GLoRA"},
    {".a2.weight", "GLoRA"},
    {".b1.weight", "GLoRA"},
    {".b2.weight", "GLoRA"},
    {".bm.weight", "GLoRA"},
    {".oft_R", "OFT of PEFT"},
    {".boft_", "BOFT of PEFT"},
    {".ia3_l", "IA3 of PEFT"},
    {".vera_lambda", "VeRA"},
    {".lora_embedding_", "LoRA of an embedding"},
    {".set_weight", "a replaced weight"},
    {".reshape_weight", "a reshaped weight"},
    {".scalar", "an unfinished training run (a scalar that saving folds in)"},
};

struct Beginning {
  std::string_view text, component;
};

constexpr Beginning kBeginnings[] = {
    {"lora_unet_", "unet"},
    {"lora_transformer_", "unet"},
    {"lycoris_", "unet"},
    {"lora_te_", "text_encoder"},
    {"lora_te1_", "text_encoder"},
    {"lora_te2_", "text_encoder_2"},
    {"lora_te3_", "text_encoder_3"},
    {"unet.", "unet"},
    {"transformer.", "unet"},
    {"diffusion_model.", "unet"},
    {"model.diffusion_model.", "unet"},
    {"text_encoder.", "text_encoder"},
    {"text_encoder_2.", "text_encoder_2"},
    {"text_encoder_3.", "text_encoder_3"},
    {"text_encoders.clip_l.transformer.", "text_encoder"},
    {"text_encoders.clip_g.transformer.", "text_encoder_2"},
    {"text_encoders.t5xxl.transformer.", "text_encoder_3"},
};

// Files of one model say of which only by its parts.
constexpr Beginning kOwnParts[] = {
    {"text_model.", "text_encoder"},
    {"encoder.layers.", "text_encoder"},
    {"encoder.block.", "text_encoder_3"},
    {"down_blocks.", "unet"},
    {"mid_block.", "unet"},
    {"up_blocks.", "unet"},
    {"conv_in", "unet"},
    {"conv_out", "unet"},
    {"time_embedding.", "unet"},
    {"add_embedding.", "unet"},
    {"input_blocks.", "unet"},
    {"middle_block.", "unet"},
    {"output_blocks.", "unet"},
    {"transformer_blocks.", "unet"},
    {"single_transformer_blocks.", "unet"},
    {"joint_blocks.", "unet"},
    {"double_blocks.", "unet"},
    {"single_blocks.", "unet"},
    {"x_embedder", "unet"},
    {"context_embedder", "unet"},
    {"time_text_embed.", "unet"},
    {"pos_embed.", "unet"},
    {"norm_out.", "unet"},
    {"proj_out", "unet"},
    {"img_in", "unet"},
    {"txt_in", "unet"},
    {"time_in.", "unet"},
    {"vector_in.", "unet"},
    {"guidance_in.", "unet"},
    {"final_layer.", "unet"},
};

constexpr std::string_view kPeft = "base_model.model.";

void Replace(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// XLabs' processors of FLUX have image and text numbered, and the first 3 of linear1's 7 parts as
// "qkv".
void UndoXLabsNames(LoraKey& key, std::string_view name) {
  const bool text = name.find("_lora2.") != std::string_view::npos;
  if (key.path.starts_with("double_blocks_")) {
    const std::string attention = text ? "_txt_attn_" : "_img_attn_";
    Replace(key.path, "_processor_", attention);
  } else if (key.path.starts_with("single_blocks_")) {
    Replace(key.path, "_processor_proj", "_linear2");
    Replace(key.path, "_processor_qkv", "_linear1_qkv");
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

// Takes what names the component off `layer`. Empty: nothing does.
std::string_view TakeComponent(std::string_view& layer) {
  for (const Beginning& beginning : kBeginnings) {
    if (!layer.starts_with(beginning.text)) continue;
    layer.remove_prefix(beginning.text.size());
    return beginning.component;
  }
  const bool peft = layer.starts_with(kPeft);
  if (peft) layer.remove_prefix(kPeft.size());
  for (const Beginning& own : kOwnParts) {
    if (layer.starts_with(own.text)) return own.component;
  }
  return peft ? "unet" : "";
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
  LoraKey& key = parsed.key;
  std::string_view layer = name;
  constexpr std::string_view kWeight = ".weight";
  if (ending != std::end(kEndings)) {
    key.part = ending->part;
    layer.remove_suffix(ending->text.size());
  } else if (name.ends_with(kWeight) &&
             (name.starts_with("lora_") || name.starts_with("lycoris_"))) {
    key.part = "weight";  // of IA3, which has nothing else to be told by
    layer.remove_suffix(kWeight.size());
  } else {
    return parsed;
  }
  key.layer = layer;
  key.component = TakeComponent(layer);
  if (key.component.empty() || layer.empty()) return parsed;
  key.path = Underscored(layer);
  UndoXLabsNames(key, name);
  UndoProcessorNames(key);
  parsed.known = true;
  return parsed;
}

}  // namespace fovea
