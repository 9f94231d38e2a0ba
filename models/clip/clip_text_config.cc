#include "models/clip/clip_text_config.h"

#include <limits>

#include "models/layers.h"

namespace fovea {
namespace {

constexpr int64_t kMaxWidth = 1 << 16;

Act ReadHiddenAct(const Config& config) {
  const std::string name = config.String("hidden_act", "quick_gelu");
  if (name == "quick_gelu") return Act::kQuickGelu;
  if (name == "gelu") return Act::kGeluErf;
  if (name == "gelu_new" || name == "gelu_pytorch_tanh") return Act::kGeluTanh;
  if (name == "silu" || name == "swish") return Act::kSilu;
  ThrowUnsupportedField(config, "hidden_act",
                        "\"" + name +
                            "\" is not an activation that we have: quick_gelu, gelu, gelu_new, "
                            "gelu_pytorch_tanh, silu");
}

// What transformers writes into every config, and what matters to training only.
void IgnoreTheRest(const Config& config) {
  config.Ignore({"architectures", "model_type", "transformers_version", "torch_dtype", "dtype",
                 "bos_token_id", "pad_token_id", "sep_token_id", "decoder_start_token_id",
                 "attention_dropout", "dropout", "initializer_factor", "initializer_range",
                 "gradient_checkpointing", "projection_dim"});
  config.Ignore({"return_dict",
                 "output_hidden_states",
                 "output_attentions",
                 "torchscript",
                 "use_bfloat16",
                 "tf_legacy_loss",
                 "pruned_heads",
                 "tie_word_embeddings",
                 "chunk_size_feed_forward",
                 "is_encoder_decoder",
                 "is_decoder",
                 "cross_attention_hidden_size",
                 "add_cross_attention",
                 "tie_encoder_decoder",
                 "finetuning_task",
                 "id2label",
                 "label2id",
                 "tokenizer_class",
                 "prefix",
                 "task_specific_params",
                 "problem_type",
                 "use_return_dict",
                 "name_or_path",
                 "use_cache",
                 "use_attention_mask"});
  // Of text generation, which this class does not do.
  config.Ignore({"max_length",
                 "min_length",
                 "do_sample",
                 "early_stopping",
                 "num_beams",
                 "num_beam_groups",
                 "diversity_penalty",
                 "temperature",
                 "top_k",
                 "top_p",
                 "typical_p",
                 "repetition_penalty",
                 "length_penalty",
                 "no_repeat_ngram_size",
                 "encoder_no_repeat_ngram_size",
                 "bad_words_ids",
                 "num_return_sequences",
                 "output_scores",
                 "return_dict_in_generate",
                 "forced_bos_token_id",
                 "forced_eos_token_id",
                 "remove_invalid_values",
                 "exponential_decay_length_penalty",
                 "suppress_tokens",
                 "begin_suppress_tokens"});
}

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
  clip.hidden_act = ReadHiddenAct(config);
  clip.layer_norm_eps = config.Number("layer_norm_eps", 1e-5);
  if (clip.layer_norm_eps < 0) ThrowBadField(config, "layer_norm_eps", "must not be negative");
  clip.eos_token_id = config.Int("eos_token_id", std::numeric_limits<int32_t>::min(),
                                 std::numeric_limits<int32_t>::max(), 49407);
  if (config.ClassName() == "CLIPTextModelWithProjection") {
    clip.projection_dim = config.Int("projection_dim", 1, kMaxWidth, 512);
  }
  IgnoreTheRest(config);
  config.CheckAllRead();
  return clip;
}

}  // namespace fovea
