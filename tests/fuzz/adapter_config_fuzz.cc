// Fuzzes settings of adapters: adapter_config.json, the header's metadata, patterns of layers.
#include "models/lora/lora_settings.h"
#include "tests/fuzz/fuzz_target.h"

namespace fovea {

std::vector<std::string> FuzzSeeds() {
  return {
      R"({"unet.lora_alpha":4,"unet.alpha_pattern":{"to_q":2},"unet.use_dora":false})",
      R"({"peft_type":"LORA","r":4,"lora_alpha":8,"use_rslora":true,"alpha_pattern":{"to_q":2}})",
      R"({"lora_alpha":8,"alpha_pattern":{".*mid_block\\.attn\\d+.to_k":1.5,"attn.*.to_q":2}})",
      R"({"lora_alpha":1,"init_lora_weights":"pissa","rank_pattern":null})",
      ".*down_blocks.\\d+.attn*to_q",
  };
}

}  // namespace fovea

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fovea;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::string layer = "unet.down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_q";
  RefusesOrReads([&] {
    ReadLoraMetadata({{"lora_adapter_metadata", text}}, "a").Of("unet", layer, "a");
  });
  RefusesOrReads([&] {
    const auto scaling = ParseAdapterConfig(text, "a").Of("unet", layer, "a");
    if (!scaling) std::abort();
  });
  RefusesOrReads([&] {
    // A text without signs matches itself, behind a dot too.
    const bool plain = text.find_first_of(".\\*+^$?|()[]{}") == std::string::npos;
    if (MatchesLayer(text, layer, "a") && plain && !layer.ends_with(text)) std::abort();
    if (plain && !MatchesLayer(text, "x." + text, "a")) std::abort();
  });
  return 0;
}
