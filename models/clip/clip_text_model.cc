#include "models/clip/clip_text_model.h"

#include <algorithm>
#include <optional>

#include "models/clip/clip_text_config.h"
#include "models/layers.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/embed.h"
#include "tensor/ops/product/linear.h"
#include "tensor/trace.h"

namespace fovea {
namespace {

struct ClipAttention {
  AttentionSite site;
  Weight q_proj, k_proj, v_proj, out_proj;

  static ClipAttention Load(const WeightScope& scope, int64_t hidden) {
    return {{},
            scope.Linear("q_proj", hidden, hidden),
            scope.Linear("k_proj", hidden, hidden),
            scope.Linear("v_proj", hidden, hidden),
            scope.Linear("out_proj", hidden, hidden)};
  }

  // hidden (b,t,c) += attention(normed (b,t,c))
  void AddTo(Context& ctx, AttentionRuntime& attention, const Tensor& normed,
             const Tensor& hidden) const {
    ArenaScope scope(ctx.arena);
    const int64_t b = normed.shape[0], t = normed.shape[1];
    const Tensor q = ctx.New(normed.shape), k = ctx.New(normed.shape), v = ctx.New(normed.shape);
    ops::Linear(ctx, normed, q_proj, q);
    ops::Linear(ctx, normed, k_proj, k);
    ops::Linear(ctx, normed, v_proj, v);
    AttentionSpec spec;
    spec.batch = static_cast<int>(b);
    spec.heads = site.heads;
    spec.head_dim = site.head_dim;
    spec.q = spec.kv = TextLayout(static_cast<int>(t));
    spec.dtype = ctx.dtype;
    spec.device = ctx.backend.Kind();
    spec.causal = true;
    const Shape heads{b, t, site.heads, site.head_dim};
    // `normed` has served and holds the result.
    attention.Attend(
        ctx, site, spec,
        {q.Reshape(heads), k.Reshape(heads), v.Reshape(heads), normed.Reshape(heads), Tensor{}});
    ops::Linear(ctx, normed, out_proj, hidden, {.residual = &hidden});
  }
};

struct ClipEncoderLayer {
  LayerNorm layer_norm1, layer_norm2;
  ClipAttention self_attn;
  Weight mlp_fc1, mlp_fc2;
  Act act = Act::kQuickGelu;

  static ClipEncoderLayer Load(const WeightScope& scope, const ClipTextConfig& config) {
    const int64_t c = config.hidden_size, inner = config.intermediate_size;
    return {LayerNorm::Load(scope, "layer_norm1", c, config.layer_norm_eps),
            LayerNorm::Load(scope, "layer_norm2", c, config.layer_norm_eps),
            ClipAttention::Load(scope.Sub("self_attn"), c),
            scope.Sub("mlp").Linear("fc1", c, inner),
            scope.Sub("mlp").Linear("fc2", inner, c),
            config.hidden_act};
  }

  // hidden (b,t,c), updated in place
  void Forward(Context& ctx, AttentionRuntime& attention, const Tensor& hidden) const {
    ArenaScope scope(ctx.arena);
    const Tensor normed = ctx.New(hidden.shape);  // (b,t,c)
    layer_norm1.Forward(ctx, hidden, normed);
    self_attn.AddTo(ctx, attention, normed, hidden);
    layer_norm2.Forward(ctx, hidden, normed);
    const Tensor inner = ctx.New({hidden.shape[0], hidden.shape[1], mlp_fc1.Out()});
    ops::Linear(ctx, normed, mlp_fc1, inner, {.act = act});
    ops::Linear(ctx, inner, mlp_fc2, hidden, {.residual = &hidden});
  }
};

// The position whose state stands for the whole text.
int64_t EndOfText(const int32_t* ids, int64_t tokens, int64_t eos) {
  if (eos == 2) return std::max_element(ids, ids + tokens) - ids;
  const int32_t* found = std::find(ids, ids + tokens, static_cast<int32_t>(eos));
  return found == ids + tokens ? 0 : found - ids;
}

}  // namespace

struct ClipTextModules {
  ClipTextConfig config;
  Tensor token_embedding;     // (vocabulary, c) in the file's dtype
  Tensor position_embedding;  // (positions, c) f32
  std::vector<ClipEncoderLayer> layers;
  LayerNorm final_layer_norm;
  std::optional<Weight> text_projection;
};

ClipTextModel::ClipTextModel() = default;
ClipTextModel::~ClipTextModel() = default;

std::unique_ptr<ClipTextModel> ClipTextModel::Load(const Config& config,
                                                   std::shared_ptr<const WeightStore> weights) {
  std::unique_ptr<ClipTextModel> model(new ClipTextModel);
  model->modules_ = std::make_unique<ClipTextModules>();
  ClipTextModules& modules = *model->modules_;
  modules.config = ReadClipTextConfig(config);
  const ClipTextConfig& clip = modules.config;
  const int64_t c = clip.hidden_size;
  model->traits_ = {static_cast<int>(c),
                    clip.num_hidden_layers,
                    clip.num_attention_heads,
                    static_cast<int>(clip.max_position_embeddings),
                    static_cast<int>(clip.vocab_size),
                    static_cast<int>(clip.projection_dim)};

  const WeightScope root(*weights);
  const WeightScope prefixed = root.Sub("text_model");
  // Transformers 5 writes CLIPTextModel without the prefix; sites keep it, as published files have.
  const WeightScope text = root.Has("embeddings.token_embedding.weight") ? root : prefixed;
  const WeightScope embeddings = text.Sub("embeddings");
  modules.token_embedding = embeddings.Get("token_embedding.weight", {clip.vocab_size, c});
  modules.position_embedding =
      embeddings.F32("position_embedding.weight", {clip.max_position_embeddings, c});
  for (int i = 0; i < clip.num_hidden_layers; ++i) {
    const WeightScope scope = text.Sub("encoder").Sub("layers", i);
    ClipEncoderLayer layer = ClipEncoderLayer::Load(scope, clip);
    layer.self_attn.site = {prefixed.Sub("encoder").Sub("layers", i).Sub("self_attn").Path(),
                            i,
                            SiteKind::kSelf,
                            clip.num_attention_heads,
                            static_cast<int>(c / clip.num_attention_heads),
                            TextLayout(static_cast<int>(clip.max_position_embeddings))};
    model->sites_.push_back(layer.self_attn.site);
    modules.layers.push_back(std::move(layer));
  }
  modules.final_layer_norm = LayerNorm::Load(text, "final_layer_norm", c, clip.layer_norm_eps);
  if (clip.projection_dim > 0) {
    modules.text_projection = root.Linear("text_projection", c, clip.projection_dim, false);
  }
  weights->CheckAllRead();
  model->weights_ = std::move(weights);
  return model;
}

void ClipTextModel::Forward(Context& ctx, AttentionRuntime& attention, const Tensor& ids,
                            const ClipTextOutput& out) const {
  TRACE_ZONE("clip_text");
  const ClipTextModules& modules = *modules_;
  const int64_t b = ids.shape[0], t = ids.shape[1], c = modules.config.hidden_size;
  ENSURE(ids.shape.rank == 2 && ids.IsContiguous() && t >= 1);
  ENSURE(t <= modules.config.max_position_embeddings);
  ENSURE(out.hidden_states.empty() || out.hidden_states.size() == modules.layers.size() + 1);

  ArenaScope scope(ctx.arena);
  const Tensor hidden = ctx.New({b, t, c});  // (b,t,c)
  ops::Embed(ctx, ids, modules.token_embedding, hidden);
  {
    ArenaScope inner(ctx.arena);
    const Tensor positions =
        AsActivations(ctx, modules.position_embedding.Slice(0, 0, t)).Reshape({1, t, c});
    for (int64_t i = 0; i < b; ++i) {
      const Tensor row = hidden.Slice(0, i, 1);
      ops::Add(ctx, row, positions, row);
    }
  }
  const auto keep = [&](size_t i) {
    if (out.hidden_states.empty() || out.hidden_states[i].Empty()) return;
    ops::Copy(ctx, hidden, out.hidden_states[i]);
  };
  keep(0);
  for (size_t i = 0; i < modules.layers.size(); ++i) {
    if (ctx.Cancelled()) return;
    modules.layers[i].Forward(ctx, attention, hidden);
    keep(i + 1);
  }

  if (ctx.Cancelled()) return;
  modules.final_layer_norm.Forward(ctx, hidden, hidden);
  ops::Copy(ctx, hidden, out.last_hidden_state);
  if (out.pooled.Empty()) return;
  const Tensor ends = ctx.New({b, c});  // (b,c)
  for (int64_t i = 0; i < b; ++i) {
    const int64_t end = EndOfText(ids.Data<int32_t>() + i * t, t, modules.config.eos_token_id);
    ops::Copy(ctx, hidden.Slice(0, i, 1).Slice(1, end, 1).Reshape({1, c}), ends.Slice(0, i, 1));
  }
  if (!modules.text_projection) {
    ops::Copy(ctx, ends, out.pooled);
    return;
  }
  const Tensor projected = ctx.New({b, modules.text_projection->Out()});  // (b,projection)
  ops::Linear(ctx, ends, *modules.text_projection, projected);
  ops::Copy(ctx, projected, out.pooled);
}

void ClipTextModel::FinalNorm(Context& ctx, const Tensor& x, const Tensor& out) const {
  ArenaScope scope(ctx.arena);
  const Tensor normed = ctx.New(x.shape);  // (b,t,c)
  modules_->final_layer_norm.Forward(ctx, AsActivations(ctx, x), normed);
  ops::Copy(ctx, normed, out);
}

}  // namespace fovea
