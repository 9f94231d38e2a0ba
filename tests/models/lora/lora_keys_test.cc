#include "models/lora/lora_keys.h"

#include <catch2/catch.hpp>

namespace fovea {
namespace {

TEST_CASE("lora keys: every family of names means one layer") {
  struct Case {
    const char *name, *component, *path, *part;
  };
  const std::string block = "down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_out_0";
  const char* unet = block.c_str();
  const char* text = "text_model_encoder_layers_2_self_attn_q_proj";
  const Case cases[] = {
      {"lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_out_0.lora_down.weight",
       "unet", unet, "down"},
      {"lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_out_0.alpha", "unet",
       unet, "alpha"},
      {"unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0.lora_A.weight", "unet",
       unet, "down"},
      {"unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0.lora.up.weight", "unet",
       unet, "up"},
      {"unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora.up.weight",
       "unet", unet, "up"},
      {"down_blocks.1.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora.down.weight",
       "unet", unet, "down"},
      {"lora_te_text_model_encoder_layers_2_self_attn_q_proj.lora_up.weight", "text_encoder", text,
       "up"},
      {"lora_te1_text_model_encoder_layers_2_self_attn_q_proj.lora_mid.weight", "text_encoder",
       text, "mid"},
      {"lora_te2_text_model_encoder_layers_2_self_attn_q_proj.alpha", "text_encoder_2", text,
       "alpha"},
      {"text_encoder.text_model.encoder.layers.2.self_attn.q_proj.lora_linear_layer.up.weight",
       "text_encoder", text, "up"},
      {"text_encoder.text_model.encoder.layers.2.self_attn.to_q_lora.down.weight", "text_encoder",
       text, "down"},
      {"text_encoder_2.text_model.encoder.layers.2.self_attn.q_proj.lora_B.weight",
       "text_encoder_2", text, "up"},
      // Transformers and T5, and LyCORIS' parts.
      {"lora_unet_double_blocks_3_img_attn_qkv.lora_down.weight", "unet",
       "double_blocks_3_img_attn_qkv", "down"},
      {"diffusion_model.double_blocks.3.img_attn.qkv.lora_A.weight", "unet",
       "double_blocks_3_img_attn_qkv", "down"},
      {"double_blocks.3.processor.qkv_lora1.down.weight", "unet", "double_blocks_3_img_attn_qkv",
       "down"},
      {"double_blocks.3.processor.proj_lora2.up.weight", "unet", "double_blocks_3_txt_attn_proj",
       "up"},
      {"single_blocks.12.processor.qkv_lora.down.weight", "unet", "single_blocks_12_linear1_qkv",
       "down"},
      {"single_blocks.12.processor.proj_lora.up.weight", "unet", "single_blocks_12_linear2", "up"},
      {"transformer.single_transformer_blocks.12.proj_mlp.lora_B.bias", "unet",
       "single_transformer_blocks_12_proj_mlp", "bias"},
      {"lora_transformer_transformer_blocks_0_attn_to_q.alpha", "unet",
       "transformer_blocks_0_attn_to_q", "alpha"},
      {"lycoris_transformer_blocks_0_attn_to_q.lokr_w2_a", "unet", "transformer_blocks_0_attn_to_q",
       "lokr_w2_a"},
      {"base_model.model.transformer_blocks.0.attn.to_q.lora_magnitude_vector", "unet",
       "transformer_blocks_0_attn_to_q", "magnitude"},
      {"base_model.model.text_model.encoder.layers.2.self_attn.q_proj.lora_A.weight",
       "text_encoder", text, "down"},
      {"text_encoders.t5xxl.transformer.encoder.block.0.layer.0.SelfAttention.q.lora_up.weight",
       "text_encoder_3", "encoder_block_0_layer_0_SelfAttention_q", "up"},
      {"lora_te3_encoder_block_0_layer_1_DenseReluDense_wo.lora_up.weight", "text_encoder_3",
       "encoder_block_0_layer_1_DenseReluDense_wo", "up"},
      {"lora_unet_mid_block_attentions_0_proj_in.weight", "unet", "mid_block_attentions_0_proj_in",
       "weight"},
      {"lora_unet_mid_block_attentions_0_norm.w_norm", "unet", "mid_block_attentions_0_norm",
       "w_norm"},
  };
  for (const Case& each : cases) {
    INFO(each.name);
    const ParsedLoraKey parsed = ParseLoraKey(each.name);
    CHECK(parsed.known);
    CHECK(parsed.key.component == each.component);
    CHECK(parsed.key.path == each.path);
    CHECK(parsed.key.part == each.part);
  }
}

TEST_CASE("lora keys: other methods are named, other names are none") {
  for (const auto& [name, method] : {
           std::pair("lora_unet_mid_block_attentions_0_proj_in.a1.weight", "GLoRA"),
           {"base_model.model.blocks.0.attn.oft_R", "OFT"},
           {"bundle_emb.cat.string_to_param.*", "embedding"},
           {"transformer.transformer_blocks.0.attn.query_norm.scale", "control"},
           {"unet.mid_block.attentions.0.proj_in.lora_embedding_A", "embedding"},
       }) {
    INFO(name);
    const ParsedLoraKey parsed = ParseLoraKey(name);
    CHECK_FALSE(parsed.known);
    CHECK_THAT(parsed.refusal, Catch::Contains(method));
  }
  for (const char* name :
       {"", ".", ".alpha", "alpha", "lora_unet_.alpha", "unet.lora_A.weight", "conv.weight",
        "vae.decoder.conv_in.lora_A.weight", "unet.mid_block.attentions.0.proj_in.weight"}) {
    INFO(name);
    const ParsedLoraKey parsed = ParseLoraKey(name);
    CHECK_FALSE(parsed.known);
    CHECK(parsed.refusal.empty());
  }
}

}  // namespace
}  // namespace fovea
