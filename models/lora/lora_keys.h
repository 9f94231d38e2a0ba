// The names of tensors in adapter files: which layer of which component, and which part of its
// addition.
//
// Trainers name layers in three ways. kohya's and LyCORIS' replace every dot by "_" behind
// "lora_unet_", "lora_te_", "lora_te1_", ... or "lycoris_"; those of SDXL, SD3 and FLUX name the
// denoiser's layers as original checkpoints do. diffusers' and PEFT's keep the dots behind "unet.",
// "transformer.", "text_encoder.", ... or "base_model.model.". ComfyUI's and BFL's keep the dots of
// the original names, XLabs' name FLUX's attention processors. Here all become one: the component
// and the path with "_" for dots.
#pragma once

#include <string>
#include <string_view>

namespace fovea {

struct LoraKey {
  std::string part;       // "down", "up", "mid", "alpha", "bias", "magnitude"; "weight" of IA3; of
                          // other methods as LyCORIS has it: "hada_w1_a", "lokr_t2", "diff_b"
  std::string component;  // "unet" (any denoiser), "text_encoder", "text_encoder_2" or "_3" (T5)
  std::string path;       // "down_blocks_0_attentions_0_..._to_q"
  std::string layer;      // the name without its part, as the file has it: for messages
};

// Why a name is none, if `known` is not set; `refusal`: of another method ("GLoRA").
struct ParsedLoraKey {
  bool known = false;
  std::string refusal;
  LoraKey key;
};

ParsedLoraKey ParseLoraKey(std::string_view name);  // pure; fuzzed

std::string Underscored(std::string_view path);  // with "_" for dots

}  // namespace fovea
