// What the transformer denoisers have in common: attention over one or two streams of tokens,
// feed-forward layers, modulation, embeddings of time and of pooled text.
//
// Names are those of diffusers; the numerics, too.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>

#include "attention/attention_runtime.h"
#include "models/layers.h"

namespace fovea {

// Everything that stays the same through one pass.
struct DitPass {
  Context& ctx;
  AttentionRuntime& attention;
  Tensor temb;         // (n,c) silu of the embedding, which every modulation begins with
  TokenLayout tokens;  // of the joint sequence, or of the image alone
  Tensor rotation{};   // (t,2,d) f32 of the joint sequence, or empty
};

// Rows of `parts` modulations: (n, parts*c) from the activated embedding.
Tensor Modulations(Context& ctx, const Tensor& temb, const Weight& linear);
// Modulation number `i` of them: (n,c).
Tensor Modulation(const Tensor& rows, int64_t i, int64_t c);
// norm(x) (1 + scale) + shift without further parameters, eps 1e-6.
void AdaLayerNorm(Context& ctx, const Tensor& x, const Tensor& shift, const Tensor& scale,
                  const Tensor& out);

// The projections of the image's or of the text's tokens.
struct AttentionStream {
  Weight q, k, v, out;    // out may be empty: the attention's result is the stream's
  Tensor norm_q, norm_k;  // (d) f32 of RMS norms, or empty
};

struct StreamNames {
  const char *q, *k, *v, *out, *norm_q, *norm_k;  // null: none
};
inline constexpr StreamNames kImageStream = {"to_q",     "to_k",   "to_v",
                                             "to_out.0", "norm_q", "norm_k"};
inline constexpr StreamNames kTextStream = {"add_q_proj", "add_k_proj",   "add_v_proj",
                                            "to_add_out", "norm_added_q", "norm_added_k"};

struct StreamOptions {
  int64_t channels = 0;
  int heads = 1;
  int64_t head_dim = 0;
  bool qk_norm = false, bias = true, out = true;
};
AttentionStream LoadStream(const WeightScope& scope, const StreamNames& names,
                           const StreamOptions& options);

// What operators were trained with at a site, by the names that they know (AttentionIo::weights):
// CLEAR's pooling, `processor.spatial_weight` [1,1,1,d,1,d,1]; or nothing. Throws kBadFile for
// another shape.
using OperatorWeights = OperatorTensors;
OperatorWeights LoadOperatorWeights(const WeightScope& attention);

// One stream of a call: x (n,t,c) in, out (n,t,c); out may be x. Empty: the result is not needed.
struct StreamCall {
  const AttentionStream* weights;
  Tensor x, out;
};
// Attention over all streams' tokens, one after the other in this order; pass.rotation turns
// queries and keys. `hidden` and `own` as AttentionIo has them, or empty.
void AttendStreams(DitPass& pass, const AttentionSite& site, const TokenLayout& tokens,
                   std::span<const StreamCall> streams, const Tensor& hidden = {},
                   const OperatorWeights* own = nullptr);

// net.2(act(net.0(x))), or with a gate as GEGLU has it.
struct DitFeedForward {
  Weight net_0_proj, net_2;
  Act act = Act::kGeluTanh;
  bool gated = false;

  static DitFeedForward Load(const WeightScope& scope, int64_t channels, Act act = Act::kGeluTanh,
                             bool gated = false);
  // x, out (n,t,c); out may be x.
  void Forward(Context& ctx, const Tensor& x, const Tensor& out) const;
};

// linear_2(silu(linear_1(x))) of 256 sinusoids of a number, or of pooled text.
TimestepEmbedding LoadEmbedding(const WeightScope& scope, int64_t in, int64_t out);
// (n,256) sinusoids, cosines first, of 1 or n values times `factor`.
Tensor Sinusoids(Context& ctx, std::span<const float> values, float factor, int64_t n,
                 double freq_shift);

// The embedding of time, of pooled text and, where the model has it, of the guidance scale.
struct TextTimeEmbedding {
  TimestepEmbedding timestep, text;
  std::optional<TimestepEmbedding> guidance;

  static TextTimeEmbedding Load(const WeightScope& scope, int64_t pooled, int64_t channels,
                                bool guidance);
  // temb (n,c), activated. Numbers are multiplied by `factor` first.
  void Forward(Context& ctx, std::span<const float> timesteps, std::span<const float> scales,
               float factor, const Tensor& pooled, const Tensor& temb) const;
};

}  // namespace fovea
