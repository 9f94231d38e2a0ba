// The config.json of CLIPTextModel and CLIPTextModelWithProjection.
#pragma once

#include <cstdint>

#include "models/config.h"
#include "tensor/backend.h"

namespace fovea {

struct ClipTextConfig {
  int64_t vocab_size = 49408, hidden_size = 512, intermediate_size = 2048;
  int64_t max_position_embeddings = 77;
  int num_hidden_layers = 12, num_attention_heads = 8;
  Act hidden_act = Act::kQuickGelu;
  double layer_norm_eps = 1e-5;
  int64_t eos_token_id = 49407;  // 2: the legacy rule, the largest id of a sequence is its end
  int64_t projection_dim = 0;    // 0: CLIPTextModel, which has none
};

// Throws kBadFile for wrong values and kUnsupported for what we lack, naming file and field.
ClipTextConfig ReadClipTextConfig(const Config& config);

}  // namespace fovea
