#include "models/lora/lora_keys.h"

#include <catch2/catch.hpp>

namespace fovea {
namespace {

TEST_CASE("lora keys: every family of names means one layer") {
  struct Case {
    const char *name, *component, *path;
    LoraRole role;
  };
  const std::string block = "down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_out_0";
  const char* unet = block.c_str();
  const char* text = "text_model_encoder_layers_2_self_attn_q_proj";
  const Case cases[] = {
      {"lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_out_0.lora_down.weight",
       "unet", unet, LoraRole::kDown},
      {"lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_out_0.alpha", "unet",
       unet, LoraRole::kAlpha},
      {"unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0.lora_A.weight", "unet",
       unet, LoraRole::kDown},
      {"unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0.lora.up.weight", "unet",
       unet, LoraRole::kUp},
      {"unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora.up.weight",
       "unet", unet, LoraRole::kUp},
      {"down_blocks.1.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora.down.weight",
       "unet", unet, LoraRole::kDown},
      {"lora_te_text_model_encoder_layers_2_self_attn_q_proj.lora_up.weight", "text_encoder", text,
       LoraRole::kUp},
      {"lora_te1_text_model_encoder_layers_2_self_attn_q_proj.lora_mid.weight", "text_encoder",
       text, LoraRole::kMid},
      {"lora_te2_text_model_encoder_layers_2_self_attn_q_proj.alpha", "text_encoder_2", text,
       LoraRole::kAlpha},
      {"text_encoder.text_model.encoder.layers.2.self_attn.q_proj.lora_linear_layer.up.weight",
       "text_encoder", text, LoraRole::kUp},
      {"text_encoder.text_model.encoder.layers.2.self_attn.to_q_lora.down.weight", "text_encoder",
       text, LoraRole::kDown},
      {"text_encoder_2.text_model.encoder.layers.2.self_attn.q_proj.lora_B.weight",
       "text_encoder_2", text, LoraRole::kUp},
  };
  for (const Case& each : cases) {
    INFO(each.name);
    const ParsedLoraKey parsed = ParseLoraKey(each.name);
    CHECK(parsed.known);
    CHECK(parsed.key.component == each.component);
    CHECK(parsed.key.path == each.path);
    CHECK(parsed.key.role == each.role);
  }
}

TEST_CASE("lora keys: other methods are named, other names are none") {
  for (const auto& [name, method] : {
           std::pair("lora_unet_mid_block_attentions_0_proj_in.dora_scale", "DoRA"),
           {"unet.mid_block.attentions.0.proj_in.lora_magnitude_vector", "DoRA"},
           {"lora_unet_mid_block_attentions_0_proj_in.hada_w1_a", "LoHa"},
           {"lora_unet_mid_block_attentions_0_proj_in.lokr_w2", "LoKr"},
           {"lora_unet_mid_block_attentions_0_proj_in.oft_blocks", "OFT"},
           {"lora_unet_mid_block_attentions_0_proj_in.diff", "difference"},
           {"lora_unet_mid_block_attentions_0_proj_in.diff_b", "bias"},
           {"unet.mid_block.attentions.0.proj_in.lora_B.bias", "bias"},
       }) {
    INFO(name);
    const ParsedLoraKey parsed = ParseLoraKey(name);
    CHECK_FALSE(parsed.known);
    CHECK_THAT(parsed.refusal, Catch::Contains(method));
  }
  for (const char* name :
       {"", ".", ".alpha", "alpha", "lora_unet_.alpha", "unet.lora_A.weight", "conv.weight",
        "lora_unet_mid_block_attentions_0_proj_in.weight", "transformer.blocks.0.lora_A.weight"}) {
    INFO(name);
    const ParsedLoraKey parsed = ParseLoraKey(name);
    CHECK_FALSE(parsed.known);
    CHECK(parsed.refusal.empty());
  }
}

}  // namespace
}  // namespace fovea
