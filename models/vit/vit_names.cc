#include "models/vit/vit_names.h"

#include "tensor/error.h"

namespace fovea {
namespace {

constexpr VitNames kVitNames = {
    .class_token = "embeddings.cls_token",
    .distillation_token = "embeddings.distillation_token",
    .registers = nullptr,
    .positions = "embeddings.position_embeddings",
    .patches = "embeddings.patch_embeddings.projection",
    .pre_norm = nullptr,
    .blocks = "encoder.layer",
    .attention = "attention",
    .norm1 = "layernorm_before",
    .qkv = nullptr,
    .query = "attention.attention.query",
    .key = "attention.attention.key",
    .value = "attention.attention.value",
    .out = "attention.output.dense",
    .scale1 = nullptr,
    .norm2 = "layernorm_after",
    .fc1 = "intermediate.dense",
    .fc2 = "output.dense",
    .gated_in = nullptr,
    .gated_out = nullptr,
    .scale2 = nullptr,
    .norm = "layernorm",
};

constexpr VitNames kDinov2Names = {
    .class_token = "embeddings.cls_token",
    .distillation_token = nullptr,
    .registers = "embeddings.register_tokens",
    .positions = "embeddings.position_embeddings",
    .patches = "embeddings.patch_embeddings.projection",
    .pre_norm = nullptr,
    .blocks = "encoder.layer",
    .attention = "attention",
    .norm1 = "norm1",
    .qkv = nullptr,
    .query = "attention.attention.query",
    .key = "attention.attention.key",
    .value = "attention.attention.value",
    .out = "attention.output.dense",
    .scale1 = "layer_scale1.lambda1",
    .norm2 = "norm2",
    .fc1 = "mlp.fc1",
    .fc2 = "mlp.fc2",
    .gated_in = "mlp.weights_in",
    .gated_out = "mlp.weights_out",
    .scale2 = "layer_scale2.lambda1",
    .norm = "layernorm",
};

constexpr VitNames kClipNames = {
    .class_token = "embeddings.class_embedding",
    .distillation_token = nullptr,
    .registers = nullptr,
    .positions = "embeddings.position_embedding.weight",
    .patches = "embeddings.patch_embedding",
    .pre_norm = "pre_layrnorm",
    .blocks = "encoder.layers",
    .attention = "self_attn",
    .norm1 = "layer_norm1",
    .qkv = nullptr,
    .query = "self_attn.q_proj",
    .key = "self_attn.k_proj",
    .value = "self_attn.v_proj",
    .out = "self_attn.out_proj",
    .scale1 = nullptr,
    .norm2 = "layer_norm2",
    .fc1 = "mlp.fc1",
    .fc2 = "mlp.fc2",
    .gated_in = nullptr,
    .gated_out = nullptr,
    .scale2 = nullptr,
    .norm = "post_layernorm",
};

constexpr VitNames kTimmNames = {
    .class_token = "cls_token",
    .distillation_token = "dist_token",
    .registers = "reg_token",
    .positions = "pos_embed",
    .patches = "patch_embed.proj",
    .pre_norm = "norm_pre",
    .blocks = "blocks",
    .attention = "attn",
    .norm1 = "norm1",
    .qkv = "attn.qkv",
    .query = nullptr,
    .key = nullptr,
    .value = nullptr,
    .out = "attn.proj",
    .scale1 = "ls1.gamma",
    .norm2 = "norm2",
    .fc1 = "mlp.fc1",
    .fc2 = "mlp.fc2",
    .gated_in = nullptr,
    .gated_out = nullptr,
    .scale2 = "ls2.gamma",
    .norm = "norm",
};

}  // namespace

const VitNames& NamesOf(VitNaming naming) {
  switch (naming) {
    case VitNaming::kVit:
      return kVitNames;
    case VitNaming::kDinov2:
      return kDinov2Names;
    case VitNaming::kClip:
      return kClipNames;
    case VitNaming::kTimm:
      return kTimmNames;
  }
  ENSURE(false);
  return kVitNames;
}

VitHeadNames HeadNamesOf(const VitConfig& config) {
  if (config.naming == VitNaming::kTimm) return {"head", "head_dist"};
  if (config.head == VitHead::kTwoClassifiers) {
    return {"cls_classifier", "distillation_classifier"};
  }
  if (config.head == VitHead::kClipProjection) return {"visual_projection", nullptr};
  if (config.head == VitHead::kTanhPooler) return {"pooler.dense", nullptr};
  return {"classifier", nullptr};
}

}  // namespace fovea
