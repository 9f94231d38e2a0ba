#include "models/clip/clip_text_config.h"

#include <limits>

#include "models/layers.h"
#include "models/pretrained_config.h"

namespace fovea {
namespace {

constexpr int64_t kMaxWidth = 1 << 16;

}  // namespace

ClipTextConfig ReadClipTextConfig(const Config& config) {
  ClipTextConfig clip;
  clip.vocab_size = config.Int("vocab_size", 1, 1 << 24, 49408);
  clip.hidden_size = config.Int("hidden_size", 1, kMaxWidth, 512);
  clip.intermediate_size = config.Int("intermediate_size", 1, 1 << 20, 2048);
  clip.max_position_embeddings = config.Int("max_position_embeddings", 1, 1 << 20, 77);
  clip.num_hidden_layers = static_cast<int>(config.Int("num_hidden_layers", 0, 1024, 12));
  clip.num_attention_heads = static_cast<int>(config.Int("num_attention_heads", 1, kMaxWidth, 8));
  if (clip.hidden_size % clip.num_attention_heads != 0) {
    ThrowBadField(config, "num_attention_heads",
                  "(" + std::to_string(clip.num_attention_heads) + ") must divide hidden_size (" +
                      std::to_string(clip.hidden_size) + ")");
  }
  clip.hidden_act = ReadTransformersAct(config, "hidden_act", "quick_gelu");
  clip.layer_norm_eps = config.Number("layer_norm_eps", 1e-5);
  if (clip.layer_norm_eps < 0) ThrowBadField(config, "layer_norm_eps", "must not be negative");
  clip.eos_token_id = config.Int("eos_token_id", std::numeric_limits<int32_t>::min(),
                                 std::numeric_limits<int32_t>::max(), 49407);
  if (config.ClassName() == "CLIPTextModelWithProjection") {
    clip.projection_dim = config.Int("projection_dim", 1, kMaxWidth, 512);
  }
  config.Ignore({"attention_dropout", "dropout", "projection_dim"});
  IgnorePretrainedFields(config);
  config.CheckAllRead();
  return clip;
}

}  // namespace fovea
