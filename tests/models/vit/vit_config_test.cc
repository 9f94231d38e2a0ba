// What ReadVitConfig takes, fills in and refuses, for transformers' files and timm's.
#include "models/vit/vit_config.h"

#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include "tensor/error.h"

namespace fovea {
namespace {

using nlohmann::json;

VitConfig Read(const json& fields) {
  return ReadVitConfig(Config::Parse(fields.dump(), "config.json"));
}

json Named(const char* name, json fields = json::object()) {
  fields["architectures"] = {name};
  return fields;
}

json Timm(const char* name, const json& args = json::object()) {
  return {{"architecture", name}, {"model_args", args}};
}

void CheckRefused(const json& fields, ErrorCode code, const std::string& says) {
  INFO(fields.dump());
  try {
    Read(fields);
    FAIL_CHECK("was taken");
  } catch (const Error& error) {
    CHECK(error.code == code);
    const std::string text = error.what();
    CHECK(text.find("config.json") == 0);
    CHECK(text.find(says) != std::string::npos);
    CHECK(text.find('\n') == std::string::npos);
  }
}

TEST_CASE("ViT configs without fields are transformers' defaults") {
  const VitConfig vit = Read(Named("ViTForImageClassification"));
  CHECK(vit.hidden == 768);
  CHECK(vit.mlp == 3072);
  CHECK(vit.patch == 16);
  CHECK(vit.eps == 1e-12);
  CHECK(vit.outputs == 2);
  CHECK(vit.PrefixTokens() == 1);
  const VitConfig deit = Read(Named("DeiTForImageClassificationWithTeacher"));
  CHECK(deit.PrefixTokens() == 2);
  CHECK(deit.head == VitHead::kTwoClassifiers);
  const VitConfig dino = Read(Named("Dinov2Model"));
  CHECK(dino.patch == 14);
  CHECK(dino.eps == 1e-6);
  CHECK(dino.layer_scale);
  const VitConfig registers = Read(Named("Dinov2WithRegistersModel"));
  CHECK(registers.patch == 16);
  CHECK(registers.PrefixTokens() == 5);
  CHECK(registers.resize == VitResize::kBicubicAntialiased);
  const VitConfig clip = Read(Named("CLIPVisionModelWithProjection"));
  CHECK(clip.patch == 32);
  CHECK(clip.act == Act::kQuickGelu);
  CHECK_FALSE(clip.patch_bias);
}

TEST_CASE("SwiGLU of DINOv2 is two thirds as wide, up to a multiple of 8") {
  const VitConfig dino =
      Read(Named("Dinov2Model",
                 {{"hidden_size", 1536}, {"num_attention_heads", 24}, {"use_swiglu_ffn", true}}));
  CHECK(dino.mlp == 4096);
}

TEST_CASE("timm architectures are read from their names") {
  const VitConfig base = Read(Timm("vit_base_patch32_384.augreg_in21k_ft_in1k"));
  CHECK(base.hidden == 768);
  CHECK(base.patch == 32);
  CHECK(base.image_width == 384);
  CHECK(base.eps == 1e-6);
  CHECK(base.outputs == 1000);
  const VitConfig dino = Read(Timm("vit_large_patch14_reg4_dinov2"));
  CHECK(dino.registers == 4);
  CHECK_FALSE(dino.prefix_positions);
  CHECK(dino.layer_scale);
  CHECK(dino.image_height == 518);
  CHECK(Read(Timm("deit_small_distilled_patch16_224")).distillation_token);
  CHECK(Read(Timm("vit_base_patch16_clip_quickgelu_224")).act == Act::kQuickGelu);
  const VitConfig agent = Read(Timm("agent_deit_base"));
  CHECK(agent.agents == std::vector<int>{49, 49, 49, 49, 0, 0, 0, 0, 0, 0, 0, 0});
  CHECK(Read(Timm("agent_deit_tiny", {{"agent_num", {9, 16, 49, 49}}})).agents ==
        std::vector<int>{9, 9, 16, 16, 49, 49, 49, 49, 49, 49, 49, 49});
}

TEST_CASE("ViT configs are refused by field") {
  const auto vit = [](const char* field, const json& value) {
    return Named("ViTModel", {{field, value}});
  };
  CheckRefused(vit("hidden_act", "mish"), ErrorCode::kUnsupported, "hidden_act");
  CheckRefused(vit("hidden_size", 0), ErrorCode::kBadFile, "hidden_size");
  CheckRefused(vit("hidden_size", 770), ErrorCode::kBadFile, "num_attention_heads");
  CheckRefused(vit("patch_size", json::array({16, 8})), ErrorCode::kUnsupported, "patch_size");
  CheckRefused(vit("patch_size", 300), ErrorCode::kBadFile, "image_size");
  CheckRefused(vit("image_size", json::array({1, 2, 3})), ErrorCode::kBadFile, "image_size");
  CheckRefused(vit("pooler_act", "relu"), ErrorCode::kUnsupported, "pooler_act");
  CheckRefused(vit("layer_norm_eps", -1), ErrorCode::kBadFile, "layer_norm_eps");
  CheckRefused(vit("rope", 1), ErrorCode::kUnsupported, "rope");
  CheckRefused(vit("use_swiglu_ffn", true), ErrorCode::kUnsupported, "use_swiglu_ffn");
  CheckRefused(Named("Dinov2Model", {{"mlp_ratio", 1e9}}), ErrorCode::kBadFile, "mlp_ratio");
  CheckRefused(Named("SwinModel"), ErrorCode::kUnsupported, "SwinModel");
  CheckRefused(Named("ViTForImageClassification", {{"id2label", json::object()}}),
               ErrorCode::kBadFile, "id2label");
}

TEST_CASE("timm configs are refused by field") {
  CheckRefused(Timm("swin_tiny_patch4_window7_224"), ErrorCode::kUnsupported, "architecture");
  CheckRefused(Timm("vit_base_r50_s16_224"), ErrorCode::kUnsupported, "architecture");
  CheckRefused(Timm("vit"), ErrorCode::kUnsupported, "architecture");
  CheckRefused(Timm("vit_base_patch_224"), ErrorCode::kUnsupported, "architecture");
  CheckRefused(Timm("vit_base_patch16_224", {{"global_pool", "avg"}}), ErrorCode::kUnsupported,
               "global_pool");
  CheckRefused(Timm("vit_base_patch16_224", {{"qk_norm", true}}), ErrorCode::kUnsupported,
               "qk_norm");
  CheckRefused(Timm("vit_base_patch16_224", {{"mlp_layer", "x"}}), ErrorCode::kUnsupported,
               "mlp_layer");
  CheckRefused(Timm("agent_deit_tiny", {{"agent_num", {8, 9, 9, 9}}}), ErrorCode::kBadFile,
               "agent_num");
  CheckRefused(Timm("agent_deit_tiny", {{"depth", 14}}), ErrorCode::kBadFile, "depth");
  CheckRefused(Timm("agent_deit_tiny", {{"reg_tokens", 1}}), ErrorCode::kUnsupported, "agent_num");
}

}  // namespace
}  // namespace fovea
