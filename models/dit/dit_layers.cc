#include "models/dit/dit_layers.h"

#include "tensor/ops/activation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/norm/layer_norm.h"
#include "tensor/ops/norm/rms_norm.h"
#include "tensor/ops/product/linear.h"
#include "tensor/ops/rotate.h"

namespace fovea {
namespace {

constexpr int64_t kSinusoids = 256;
constexpr float kNormEps = 1e-6f;

}  // namespace

Tensor Modulations(Context& ctx, const Tensor& temb, const Weight& linear) {
  const Tensor rows = ctx.New({temb.shape[0], linear.Out()});  // (n, parts*c)
  ops::Linear(ctx, temb, linear, rows);
  return rows;
}

Tensor Modulation(const Tensor& rows, int64_t i, int64_t c) {
  return rows.Slice(1, i * c, c);
}

void AdaLayerNorm(Context& ctx, const Tensor& x, const Tensor& shift, const Tensor& scale,
                  const Tensor& out) {
  ops::ModulatedLayerNorm(ctx, x, {{}, {}, kNormEps, scale, shift}, out);
}

AttentionStream LoadStream(const WeightScope& scope, const StreamNames& names,
                           const StreamOptions& options) {
  const int64_t c = options.channels, inner = options.heads * options.head_dim;
  AttentionStream stream;
  stream.q = scope.Linear(names.q, c, inner, options.bias);
  stream.k = scope.Linear(names.k, c, inner, options.bias);
  stream.v = scope.Linear(names.v, c, inner, options.bias);
  if (options.out) stream.out = scope.Linear(names.out, inner, c);
  if (options.qk_norm) {
    stream.norm_q = scope.Sub(names.norm_q).F32("weight", {options.head_dim});
    stream.norm_k = scope.Sub(names.norm_k).F32("weight", {options.head_dim});
  }
  return stream;
}

OperatorWeights LoadOperatorWeights(const WeightScope& attention) {
  OperatorWeights own;
  const std::string name = "processor.spatial_weight";
  const auto pooling = attention.FindF32(name);
  if (!pooling) return own;
  // Of seven axes the first two, of length 1, are not there.
  const Shape& shape = pooling->shape;
  if (shape.rank != 5 || !(shape == Shape{1, shape[1], 1, shape[1], 1})) {
    throw Error(ErrorCode::kBadFile, "tensor " + attention.Prefix() + name + " has shape " +
                                         shape.ToString() + ", but must have [1,1,1,d,1,d,1]");
  }
  own["spatial_weight"] = *pooling;
  return own;
}

void AttendStreams(DitPass& pass, const AttentionSite& site, const TokenLayout& tokens,
                   std::span<const StreamCall> streams, const Tensor& hidden,
                   const OperatorWeights* own) {
  Context& ctx = pass.ctx;
  ArenaScope scope(ctx.arena);
  const int64_t n = streams[0].x.shape[0], t = TokenCount(tokens);
  const int64_t heads = site.heads, d = site.head_dim;
  const bool in_place = streams.size() == 1 && streams[0].weights->out.w.Empty();
  const Tensor out = in_place ? streams[0].out.Reshape({n, t, heads, d})
                              : ctx.New({n, t, heads, d});  // (n,t,heads,d)
  {
    ArenaScope inner(ctx.arena);
    const auto project = [&](Weight AttentionStream::*weight, Tensor AttentionStream::*norm) {
      const Tensor all = ctx.New({n, t, heads, d});  // (n,t,heads,d)
      int64_t begin = 0;
      for (const StreamCall& call : streams) {
        const int64_t length = call.x.shape[1];
        const Tensor part = all.Slice(1, begin, length);
        ops::Linear(ctx, call.x, call.weights->*weight, part.Reshape({n, length, heads * d}));
        if (norm != nullptr && !(call.weights->*norm).Empty()) {
          ops::RmsNorm(ctx, part, call.weights->*norm, kNormEps, part);
        }
        begin += length;
      }
      ENSURE(begin == t);
      return all;
    };
    AttentionIo io;
    io.q = project(&AttentionStream::q, &AttentionStream::norm_q);
    io.k = project(&AttentionStream::k, &AttentionStream::norm_k);
    io.v = project(&AttentionStream::v, nullptr);
    io.out = out;
    io.hidden = hidden;
    io.weights = own;
    if (!pass.rotation.Empty()) {
      ops::Rotate(ctx, io.q, pass.rotation, io.q);
      ops::Rotate(ctx, io.k, pass.rotation, io.k);
    }
    AttentionSpec spec;
    spec.batch = static_cast<int>(n);
    spec.heads = site.heads;
    spec.head_dim = site.head_dim;
    spec.q = spec.kv = tokens;
    spec.dtype = ctx.dtype;
    spec.device = ctx.backend.Kind();
    pass.attention.Attend(ctx, site, spec, io);
  }
  if (in_place) return;
  const Tensor rows = out.Reshape({n, t, heads * d});
  int64_t begin = 0;
  for (const StreamCall& call : streams) {
    const int64_t length = call.x.shape[1];
    if (!call.out.Empty()) {
      ops::Linear(ctx, rows.Slice(1, begin, length), call.weights->out, call.out);
    }
    begin += length;
  }
}

DitFeedForward DitFeedForward::Load(const WeightScope& scope, int64_t channels, Act act,
                                    bool gated) {
  return {scope.Linear("net.0.proj", channels, (gated ? 8 : 4) * channels),
          scope.Linear("net.2", 4 * channels, channels), act, gated};
}

void DitFeedForward::Forward(Context& ctx, const Tensor& x, const Tensor& out) const {
  ArenaScope scope(ctx.arena);
  const int64_t n = x.shape[0], t = x.shape[1];
  const Tensor inner = ctx.New({n, t, net_2.In()});  // (n,t,4c)
  if (gated) {
    ArenaScope wide(ctx.arena);
    const Tensor both = ctx.New({n, t, net_0_proj.Out()});  // (n,t,8c)
    ops::Linear(ctx, x, net_0_proj, both);
    ops::GatedAct(ctx, both, act, inner);
  } else {
    ops::Linear(ctx, x, net_0_proj, inner, {.act = act});
  }
  ops::Linear(ctx, inner, net_2, out);
}

TimestepEmbedding LoadEmbedding(const WeightScope& scope, int64_t in, int64_t out) {
  TimestepEmbedding embedding;
  embedding.linear_1 = scope.Linear("linear_1", in, out);
  embedding.linear_2 = scope.Linear("linear_2", out, out);
  return embedding;
}

Tensor Sinusoids(Context& ctx, std::span<const float> values, float factor, int64_t n,
                 double freq_shift) {
  ENSURE(values.size() == 1 || static_cast<int64_t>(values.size()) == n);
  std::vector<float> numbers(values.begin(), values.end());
  for (float& number : numbers) number *= factor;
  numbers.resize(static_cast<size_t>(n), numbers.front());
  std::vector<float> sines(static_cast<size_t>(n * kSinusoids));
  SinusoidalEmbedding(numbers, kSinusoids, true, freq_shift, sines);
  const Tensor out = ctx.New({n, kSinusoids});
  ops::Copy(ctx, Tensor::Contiguous(sines.data(), out.shape, DType::kF32), out);
  return out;
}

TextTimeEmbedding TextTimeEmbedding::Load(const WeightScope& scope, int64_t pooled,
                                          int64_t channels, bool guidance) {
  TextTimeEmbedding embedding;
  embedding.timestep = LoadEmbedding(scope.Sub("timestep_embedder"), kSinusoids, channels);
  if (guidance) {
    embedding.guidance = LoadEmbedding(scope.Sub("guidance_embedder"), kSinusoids, channels);
  }
  embedding.text = LoadEmbedding(scope.Sub("text_embedder"), pooled, channels);
  return embedding;
}

void TextTimeEmbedding::Forward(Context& ctx, std::span<const float> timesteps,
                                std::span<const float> scales, float factor, const Tensor& pooled,
                                const Tensor& temb) const {
  ArenaScope scope(ctx.arena);
  const int64_t n = temb.shape[0];
  const Tensor term = ctx.New(temb.shape);  // (n,c)
  const auto add = [&](const TimestepEmbedding& embedding, const Tensor& x) {
    embedding.Forward(ctx, x, {}, term);
    ops::Add(ctx, temb, term, temb);
  };
  timestep.Forward(ctx, Sinusoids(ctx, timesteps, factor, n, 0), {}, temb);
  if (guidance) add(*guidance, Sinusoids(ctx, scales, factor, n, 0));
  add(text, AsActivations(ctx, pooled));
  ops::Activate(ctx, temb, Act::kSilu, temb);
}

}  // namespace fovea
