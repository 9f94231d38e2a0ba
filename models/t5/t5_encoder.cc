#include "models/t5/t5_encoder.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "attention/kernels/biased_attention.h"
#include "models/layers.h"
#include "models/pretrained_config.h"
#include "tensor/memory/host_tensor.h"
#include "tensor/ops/activation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/embed.h"
#include "tensor/ops/norm/rms_norm.h"
#include "tensor/ops/product/linear.h"
#include "tensor/trace.h"

namespace fovea {
namespace {

struct T5Config {
  int64_t vocab_size = 32128, d_model = 512, d_kv = 64, d_ff = 2048;
  int num_layers = 6, num_heads = 8;
  int64_t buckets = 32, max_distance = 128;
  double layer_norm_epsilon = 1e-6;
  Act act = Act::kRelu;
  bool gated = false;
};

T5Config ReadT5Config(const Config& config) {
  T5Config t5;
  t5.vocab_size = config.Int("vocab_size", 1, 1 << 24, 32128);
  t5.d_model = config.Int("d_model", 1, 1 << 16, 512);
  t5.d_kv = config.Int("d_kv", 1, 1 << 16, 64);
  t5.d_ff = config.Int("d_ff", 1, 1 << 20, 2048);
  t5.num_layers = static_cast<int>(config.Int("num_layers", 1, 1024, 6));
  t5.num_heads = static_cast<int>(config.Int("num_heads", 1, 1 << 16, 8));
  t5.buckets = config.Int("relative_attention_num_buckets", 4, 1 << 16, 32);
  t5.max_distance = config.Int("relative_attention_max_distance", 1, 1 << 20, 128);
  if (t5.max_distance <= t5.buckets / 4) {
    ThrowBadField(config, "relative_attention_max_distance",
                  "must be more than a quarter of relative_attention_num_buckets");
  }
  t5.layer_norm_epsilon = config.Number("layer_norm_epsilon", 1e-6);
  if (t5.layer_norm_epsilon < 0) {
    ThrowBadField(config, "layer_norm_epsilon", "must not be negative");
  }
  const std::string forward = config.String("feed_forward_proj", "relu");
  t5.gated = forward.starts_with("gated-");
  std::string act = t5.gated ? forward.substr(6) : forward;
  if (forward == "gated-gelu") act = "gelu_new";
  if (config.String("dense_act_fn", act) != act ||
      config.Bool("is_gated_act", t5.gated) != t5.gated) {
    ThrowUnsupportedField(config, "feed_forward_proj",
                          "\"" + forward + "\" is not what dense_act_fn and is_gated_act say");
  }
  t5.act = TransformersAct(config, "feed_forward_proj", act);
  config.Only("is_decoder", false);
  config.Ignore({"dropout_rate", "classifier_dropout", "num_decoder_layers", "n_positions",
                 "eos_token_id", "output_past", "scale_decoder_outputs"});
  IgnorePretrainedFields(config);
  config.CheckAllRead();
  return t5;
}

// The bucket of the distance from a query to a key, in f32 arithmetic as transformers.
int64_t Bucket(int64_t distance, const T5Config& t5) {
  const int64_t half = t5.buckets / 2, exact = half / 2;
  const int64_t side = distance > 0 ? half : 0, size = std::abs(distance);
  if (size < exact) return side + size;
  const float share = std::log(static_cast<float>(size) / static_cast<float>(exact)) /
                      static_cast<float>(std::log(static_cast<double>(t5.max_distance) /
                                                  static_cast<double>(exact)));
  const auto more = static_cast<int64_t>(share * static_cast<float>(half - exact));
  return side + std::min(half - 1, exact + more);
}

struct T5Block {
  Tensor attention_norm, ff_norm;     // (c) f32
  Weight q, k, v, o, wi_0, wi_1, wo;  // wi_0 is "wi" where there is no gate, and wi_1 is empty

  static T5Block Load(const WeightScope& scope, const T5Config& t5) {
    const WeightScope first = scope.Sub("layer", 0), second = scope.Sub("layer", 1);
    const WeightScope attention = first.Sub("SelfAttention"), dense = second.Sub("DenseReluDense");
    const int64_t c = t5.d_model, inner = t5.num_heads * t5.d_kv;
    T5Block block;
    block.attention_norm = first.Sub("layer_norm").F32("weight", {c});
    block.q = attention.Linear("q", c, inner, false);
    block.k = attention.Linear("k", c, inner, false);
    block.v = attention.Linear("v", c, inner, false);
    block.o = attention.Linear("o", inner, c, false);
    block.ff_norm = second.Sub("layer_norm").F32("weight", {c});
    block.wi_0 = dense.Linear(t5.gated ? "wi_0" : "wi", c, t5.d_ff, false);
    if (t5.gated) block.wi_1 = dense.Linear("wi_1", c, t5.d_ff, false);
    block.wo = dense.Linear("wo", t5.d_ff, c, false);
    return block;
  }

  // hidden (b,t,c), updated in place; normed (b,t,c) scratch
  void AddAttention(Context& ctx, const T5Config& t5, const Tensor& bias, const Tensor& normed,
                    const Tensor& hidden) const {
    ArenaScope scope(ctx.arena);
    const int64_t b = hidden.shape[0], t = hidden.shape[1], inner = q.Out();
    const auto project = [&](const Weight& weight) {
      const Tensor out = ctx.New({b, t, inner});
      ops::Linear(ctx, normed, weight, out);
      return out.Reshape({b, t, t5.num_heads, t5.d_kv});
    };
    const Tensor queries = project(q), keys = project(k), values = project(v);
    const Tensor mixed = ctx.New({b, t, inner});
    BiasedAttention(ctx, queries, keys, values, 1.0f, bias, mixed.Reshape(queries.shape));
    ops::Linear(ctx, mixed, o, hidden, {.residual = &hidden});
  }

  void AddFeedForward(Context& ctx, const T5Config& t5, const Tensor& normed,
                      const Tensor& hidden) const {
    ArenaScope scope(ctx.arena);
    const int64_t b = hidden.shape[0], t = hidden.shape[1], f = t5.d_ff;
    Tensor inner = ctx.New({b, t, f});
    if (t5.gated) {
      const Tensor both = ctx.New({b, t, 2 * f});  // the linear half, then the gate
      ops::Linear(ctx, normed, wi_1, both.Slice(2, 0, f));
      ops::Linear(ctx, normed, wi_0, both.Slice(2, f, f));
      ops::GatedAct(ctx, both, t5.act, inner);
    } else {
      ops::Linear(ctx, normed, wi_0, inner, {.act = t5.act});
    }
    ops::Linear(ctx, inner, wo, hidden, {.residual = &hidden});
  }
};

}  // namespace

struct T5Modules {
  T5Config config;
  Tensor embed_tokens;  // (vocabulary, c) in the file's dtype
  Tensor bias;          // (buckets, heads) f32, of the first block, for all
  std::vector<T5Block> blocks;
  Tensor final_norm;  // (c) f32

  // The bias of every score, (heads,t,t) f32: it depends on distances alone, so its rows are
  // overlapping views of one row of 2t-1.
  Tensor Biases(Context& ctx, int64_t t) const {
    const int64_t heads = config.num_heads, row = 2 * t - 1;
    const Tensor distances = ctx.arena.New({heads, row}, DType::kF32);
    if (!ctx.backend.IsPlanning()) {
      HostTensor values({heads, row}, DType::kF32);
      for (int64_t i = 0; i < row; ++i) {
        const float* own = bias.Data<float>() + Bucket(i - (t - 1), config) * heads;
        for (int64_t h = 0; h < heads; ++h) values.Data<float>()[h * row + i] = own[h];
      }
      ops::Copy(ctx, values.View(), distances);
    }
    Tensor view = distances;
    view.data = distances.Data<float>() + (t - 1);
    view.shape = {heads, t, t};
    view.stride = {row, -1, 1};
    return view;
  }
};

T5EncoderModel::T5EncoderModel() = default;
T5EncoderModel::~T5EncoderModel() = default;

std::unique_ptr<T5EncoderModel> T5EncoderModel::Load(const Config& config,
                                                     std::shared_ptr<const WeightStore> weights) {
  std::unique_ptr<T5EncoderModel> model(new T5EncoderModel);
  model->modules_ = std::make_unique<T5Modules>();
  T5Modules& modules = *model->modules_;
  modules.config = ReadT5Config(config);
  const T5Config& t5 = modules.config;
  model->traits_ = {static_cast<int>(t5.d_model), t5.num_layers, t5.num_heads,
                    static_cast<int>(t5.vocab_size)};
  const WeightScope root(*weights), encoder = root.Sub("encoder");
  // One table under either name; files that tell both hold it twice.
  for (const char* name : {"encoder.embed_tokens.weight", "shared.weight"}) {
    if (root.Has(name)) modules.embed_tokens = root.Get(name, {t5.vocab_size, t5.d_model});
  }
  if (modules.embed_tokens.Empty()) {
    modules.embed_tokens = root.Get("shared.weight", {t5.vocab_size, t5.d_model});  // throws
  }
  for (int i = 0; i < t5.num_layers; ++i) {
    modules.blocks.push_back(T5Block::Load(encoder.Sub("block", i), t5));
  }
  modules.bias = encoder.Sub("block", 0)
                     .Sub("layer", 0)
                     .Sub("SelfAttention")
                     .F32("relative_attention_bias.weight", {t5.buckets, t5.num_heads});
  modules.final_norm = encoder.Sub("final_layer_norm").F32("weight", {t5.d_model});
  weights->CheckAllRead();
  model->weights_ = std::move(weights);
  return model;
}

void T5EncoderModel::Forward(Context& ctx, const Tensor& ids, const Tensor& out) const {
  TRACE_ZONE("t5");
  const T5Modules& modules = *modules_;
  const T5Config& t5 = modules.config;
  ENSURE(ids.shape.rank == 2 && ids.IsContiguous() && ids.shape[1] >= 1);
  const int64_t b = ids.shape[0], t = ids.shape[1], c = t5.d_model;
  const auto eps = static_cast<float>(t5.layer_norm_epsilon);
  ArenaScope scope(ctx.arena);
  const Tensor hidden = ctx.New({b, t, c}), normed = ctx.New({b, t, c});
  const Tensor bias = modules.Biases(ctx, t);  // (heads,t,t)
  ops::Embed(ctx, ids, modules.embed_tokens, hidden);
  for (const T5Block& block : modules.blocks) {
    if (ctx.Cancelled()) return;
    ops::RmsNorm(ctx, hidden, block.attention_norm, eps, normed);
    block.AddAttention(ctx, t5, bias, normed, hidden);
    ops::RmsNorm(ctx, hidden, block.ff_norm, eps, normed);
    block.AddFeedForward(ctx, t5, normed, hidden);
  }
  if (ctx.Cancelled()) return;
  ops::RmsNorm(ctx, hidden, modules.final_norm, eps, normed);
  ops::Copy(ctx, normed, out);
}

}  // namespace fovea
