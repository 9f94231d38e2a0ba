// Fuzzes names of checkpoints: LoRA tensors, original names, LoRA tags.
#include "models/lora/lora_choice.h"
#include "models/lora/lora_keys.h"
#include "models/single_file/ldm_names.h"
#include "tests/fuzz/fuzz_target.h"

namespace fovea {

std::vector<std::string> FuzzSeeds() {
  return {
      "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q.lora_down.weight",
      "lora_te2_text_model_encoder_layers_0_mlp_fc1.alpha",
      "unet.up_blocks.1.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora.up.weight",
      "text_encoder.text_model.encoder.layers.2.self_attn.to_q_lora.down.weight",
      "down_blocks.2.resnets.1.conv_shortcut.weight",
      "decoder.up_blocks.3.resnets.2.norm1.bias",
      "text_model.encoder.layers.11.self_attn.k_proj.weight",
      "a <lora:name:0.5> b <lora:other> c",
      "a.safetensors:0.8;b:1",
      "double_blocks.3.processor.qkv_lora1.down.weight",
      "base_model.model.single_transformer_blocks.0.proj_mlp.lora_B.bias",
      "lycoris_transformer_blocks_0_attn_to_q.lokr_w2_a",
  };
}

}  // namespace fovea

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fovea;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const ParsedLoraKey parsed = ParseLoraKey(text);
  if (parsed.known && (parsed.key.path.empty() || !parsed.refusal.empty())) std::abort();
  const LdmLayout layout{.layers_per_block = 2, .vae_levels = 4, .text_layers = 12};
  for (const LdmModule module : {LdmModule::kUNet, LdmModule::kVae, LdmModule::kClip,
                                 LdmModule::kOpenClip, LdmModule::kSd3, LdmModule::kFlux}) {
    for (const StoredTensor& stored : LdmNames(module, text, layout)) {
      if (stored.part < 0 || stored.part >= stored.parts) std::abort();
    }
  }
  RefusesOrReads([&] {
    std::vector<NamedLora> loras;
    if (TakeLoraTags(text, loras).size() > text.size()) std::abort();
  });
  RefusesOrReads([&] {
    const std::vector<NamedLora> loras = ParseLoraText(text);
    if (ParseLoraText(LoraText(loras)).size() != loras.size()) std::abort();
  });
  return 0;
}
