// The names of tensors in LoRA files: which layer of which component, and which part of its
// addition.
//
// Two families of names are in use. kohya's replace every dot by "_" behind "lora_unet_",
// "lora_te_", "lora_te1_" or "lora_te2_"; SDXL's name the U-Net's layers as original checkpoints
// do. diffusers' and peft's keep the dots behind "unet.", "text_encoder." or "text_encoder_2.".
// Here all become one: the component and the path with "_" for dots.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fovea {

enum class LoraRole : uint8_t { kDown, kUp, kMid, kAlpha };

struct LoraKey {
  LoraRole role = LoraRole::kDown;
  std::string component;  // "unet", "text_encoder", "text_encoder_2"
  std::string path;       // "down_blocks_0_attentions_0_..._to_q"
  std::string layer;      // the name without its role, as the file has it: for messages
};

// Why a name is none, if `known` is not set; `refusal`: of another method ("DoRA").
struct ParsedLoraKey {
  bool known = false;
  std::string refusal;
  LoraKey key;
};

ParsedLoraKey ParseLoraKey(std::string_view name);  // pure; fuzzed

std::string Underscored(std::string_view path);  // with "_" for dots

}  // namespace fovea
