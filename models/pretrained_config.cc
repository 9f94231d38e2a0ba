#include "models/pretrained_config.h"

#include "models/layers.h"

namespace fovea {

Act ReadTransformersAct(const Config& config, std::string_view field,
                        const std::string& otherwise) {
  return TransformersAct(config, field, config.String(field, otherwise));
}

Act TransformersAct(const Config& config, std::string_view field, const std::string& name) {
  if (name == "quick_gelu") return Act::kQuickGelu;
  if (name == "gelu") return Act::kGeluErf;
  if (name == "gelu_new" || name == "gelu_pytorch_tanh") return Act::kGeluTanh;
  if (name == "relu") return Act::kRelu;
  if (name == "silu" || name == "swish") return Act::kSilu;
  ThrowUnsupportedField(config, field,
                        "\"" + name +
                            "\" is not an activation that we have: quick_gelu, gelu, gelu_new, "
                            "gelu_pytorch_tanh, relu, silu");
}

void IgnorePretrainedFields(const Config& config) {
  config.Ignore({"architectures",
                 "model_type",
                 "transformers_version",
                 "torch_dtype",
                 "dtype",
                 "bos_token_id",
                 "pad_token_id",
                 "sep_token_id",
                 "decoder_start_token_id",
                 "initializer_factor",
                 "initializer_range",
                 "gradient_checkpointing",
                 "return_dict",
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
  // Of text generation, which none of our classes does.
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

}  // namespace fovea
