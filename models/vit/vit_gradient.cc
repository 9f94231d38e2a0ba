#include "models/vit/vit_gradient.h"

#include <algorithm>
#include <cmath>

#include "attention/probe/matrix_passes.h"
#include "models/vit/vit_modules.h"
#include "tensor/error.h"
#include "tensor/machine/threads.h"
#include "tensor/ops/activation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/product/linear.h"
#include "tensor/trace.h"

namespace fovea {
namespace {

constexpr int64_t kRows = 256;    // of an attention matrix at a time
constexpr int64_t kGrain = 4096;  // elements that are worth a thread

Tensor F32(HostTensor& storage, const Shape& shape) {
  storage = HostTensor(shape, DType::kF32);
  return storage.View();
}

// from (n,c) f32, its last axis dense, to (c,n) f32, contiguous. In squares, so that lines of
// memory are used whole.
void Transpose(const Tensor& from, const Tensor& to) {
  constexpr int64_t kSide = 16;
  const int64_t n = from.shape[0], c = from.shape[1], stride = from.stride[0];
  const float* source = from.Data<float>();
  float* target = to.Data<float>();
  ParallelFor((c + kSide - 1) / kSide, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < n; i += kSide) {
      const int64_t rows = std::min(kSide, n - i);
      for (int64_t j = begin * kSide; j < std::min(c, end * kSide); ++j) {
        for (int64_t k = 0; k < rows; ++k) target[j * n + i + k] = source[(i + k) * stride + j];
      }
    }
  });
}

// out = x m (+ out): x (n,k), m (k,c).
void Multiply(Context& ctx, const Tensor& x, const Tensor& m, bool add, const Tensor& out) {
  HostTensor transposed({m.shape[1], m.shape[0]}, DType::kF32), converted;
  if (m.dtype == DType::kF32) {
    Transpose(m, transposed.View());
  } else {
    const Tensor dense = F32(converted, m.shape);
    ops::Copy(ctx, m, dense);
    Transpose(dense, transposed.View());
  }
  Weight weight;
  weight.w = transposed.View();
  ops::Linear(ctx, x, weight, out, {.residual = add ? &out : nullptr});
}

// From the gradient of a layer's output to that of its input.
void LinearBack(Context& ctx, const Weight& weight, const Tensor& d_out, bool add,
                const Tensor& d_in) {
  ENSURE(weight.delta == nullptr);
  Multiply(ctx, d_out, weight.w, add, d_in);
}

// d_in += the gradient of x, given that of norm(x). All (n,c), dense.
void NormBack(const LayerNorm& norm, const Tensor& x, const Tensor& d_out, const Tensor& d_in) {
  const int64_t n = x.shape[0], c = x.shape[1];
  const float* gamma = norm.weight.Data<float>();
  ParallelFor(n, std::max<int64_t>(1, kGrain / c), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float *value = x.Data<float>() + row * c, *d = d_out.Data<float>() + row * c;
      float* to = d_in.Data<float>() + row * c;
      const auto width = static_cast<double>(c);
      double mean = 0, variance = 0, d_mean = 0, d_slope = 0;
      for (int64_t i = 0; i < c; ++i) mean += static_cast<double>(value[i]) / width;
      for (int64_t i = 0; i < c; ++i) {
        const double centred = static_cast<double>(value[i]) - mean;
        variance += centred * centred / width;
      }
      const double scale = 1 / std::sqrt(variance + static_cast<double>(norm.eps));
      const auto normed = [&](int64_t i) { return (static_cast<double>(value[i]) - mean) * scale; };
      const auto weighted = [&](int64_t i) {
        return static_cast<double>(d[i]) * static_cast<double>(gamma[i]);
      };
      for (int64_t i = 0; i < c; ++i) {
        d_mean += weighted(i) / width;
        d_slope += weighted(i) * normed(i) / width;
      }
      for (int64_t i = 0; i < c; ++i) {
        to[i] += static_cast<float>(scale * (weighted(i) - d_mean - normed(i) * d_slope));
      }
    }
  });
}

float Sigmoid(float x) {
  return 1 / (1 + std::exp(-x));
}

float SlopeOf(Act act, float x) {
  switch (act) {
    case Act::kNone:
      return 1;
    case Act::kRelu:
      return x > 0 ? 1.0f : 0.0f;
    case Act::kSilu: {
      const float s = Sigmoid(x);
      return s * (1 + x * (1 - s));
    }
    case Act::kQuickGelu: {
      const float s = Sigmoid(1.702f * x);
      return s * (1 + 1.702f * x * (1 - s));
    }
    case Act::kGeluErf: {
      constexpr float kRootHalf = 0.70710678f, kPeak = 0.39894228f;  // 1 / sqrt(2 pi)
      return 0.5f * (1 + std::erf(x * kRootHalf)) + x * kPeak * std::exp(-0.5f * x * x);
    }
    case Act::kGeluTanh: {
      constexpr float kScale = 0.79788456f, kCubic = 0.044715f;  // sqrt(2 / pi)
      const float t = std::tanh(kScale * (x + kCubic * x * x * x));
      return 0.5f * (1 + t) + 0.5f * x * (1 - t * t) * kScale * (1 + 3 * kCubic * x * x);
    }
  }
  return 0;
}

// d *= act'(x)
void ActBack(Act act, const Tensor& x, const Tensor& d) {
  const float* from = x.Data<float>();
  float* to = d.Data<float>();
  ParallelFor(d.NumElements(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) to[i] *= SlopeOf(act, from[i]);
  });
}

// The whole MLP of a block: x is what its norm was given. d_in += its part of the gradient.
void MlpBack(Context& ctx, const VitBlock& block, const Tensor& x, const Tensor& d_out,
             const Tensor& d_in) {
  const int64_t n = x.shape[0], width = block.fc1.Out();
  HostTensor normed_storage, first_storage, inner_storage;
  const Tensor normed = F32(normed_storage, x.shape);
  const Tensor first = F32(first_storage, {n, width}), d_inner = F32(inner_storage, {n, width});
  block.norm2.Forward(ctx, x, normed);
  ops::Linear(ctx, normed, block.fc1, first);
  LinearBack(ctx, block.fc2, d_out, false, d_inner);
  if (block.gate.w.Empty()) {
    ActBack(block.act, first, d_inner);
    LinearBack(ctx, block.fc1, d_inner, false, normed);  // `normed` has served
  } else {
    HostTensor gate_storage;
    const Tensor gate = F32(gate_storage, {n, width});
    ops::Linear(ctx, normed, block.gate, gate);
    // Of first * silu(gate); the gradients take the places of both.
    float *a = first.Data<float>(), *g = gate.Data<float>(), *d = d_inner.Data<float>();
    ParallelFor(n * width, kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const float of_gate = d[i] * a[i] * SlopeOf(Act::kSilu, g[i]);
        a[i] = d[i] * g[i] * Sigmoid(g[i]);
        g[i] = of_gate;
      }
    });
    LinearBack(ctx, block.fc1, first, false, normed);
    LinearBack(ctx, block.gate, gate, true, normed);
  }
  NormBack(block.norm2, x, normed, d_in);
}

bool IsZero(const Tensor& rows) {
  for (int64_t i = 0; i < rows.shape[0]; ++i) {
    const float* row = rows.Data<float>() + i * rows.stride[0];
    if (std::any_of(row, row + rows.shape[1], [](float x) { return x != 0; })) return false;
  }
  return true;
}

// scores = scale * weights * (d - row sums of weights * d), in the place of d.
void SoftmaxBack(const Tensor& weights, float scale, const Tensor& d) {
  const int64_t n = d.shape[0], keys = d.shape[1];
  ParallelFor(n, std::max<int64_t>(1, kGrain / keys), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* a = weights.Data<float>() + row * keys;
      float* to = d.Data<float>() + row * keys;
      double sum = 0;
      for (int64_t j = 0; j < keys; ++j) {
        sum += static_cast<double>(a[j]) * static_cast<double>(to[j]);
      }
      for (int64_t j = 0; j < keys; ++j) to[j] = scale * a[j] * (to[j] - static_cast<float>(sum));
    }
  });
}

// One head: d_out (t,d) -> d_q, d_k, d_v (t,d), which are 0 before; those are empty where nothing
// below needs them. Rows may be strided.
void HeadBack(Context& ctx, const KeptAttention& kept, int layer, int head, const Tensor& d_out,
              const Tensor& d_q, const Tensor& d_k, const Tensor& d_v,
              const std::function<void(const AttentionGradient&)>& visit) {
  const int64_t t = d_out.shape[0], d = d_out.shape[1];
  const float scale =
      kept.Spec().scale != 0 ? kept.Spec().scale : 1 / std::sqrt(static_cast<float>(d));
  const auto of_head = [&](const HostTensor& all) {  // (t,d)
    return all.View().Slice(0, 0, 1).Slice(1, head, 1).Reshape({t, d});
  };
  const Tensor q = of_head(kept.Queries()), k = of_head(kept.Keys());
  Weight values;
  values.w = of_head(kept.Values());
  const AttentionMatrix& matrix = kept.Matrix(ctx);
  const std::vector<int32_t> queries = AllQueries(t);
  HostTensor weights_storage, gradients_storage, columns_storage;
  for (int64_t first = 0; first < t; first += kRows) {
    const int64_t n = std::min(kRows, t - first);
    const Tensor d_rows = d_out.Slice(0, first, n);
    if (IsZero(d_rows)) continue;
    const Tensor weights = F32(weights_storage, {n, t}), d_a = F32(gradients_storage, {n, t});
    ParallelFor(n, 16, [&](int64_t begin, int64_t end) {
      matrix.Rows(0, head,
                  std::span(queries).subspan(static_cast<size_t>(first + begin),
                                             static_cast<size_t>(end - begin)),
                  weights.Data<float>() + begin * t);
    });
    ops::Linear(ctx, d_rows, values, d_a);
    visit({layer, head, first, weights, d_a});
    if (d_q.Empty()) continue;
    const Tensor columns = F32(columns_storage, {t, n});
    Transpose(weights, columns);
    Multiply(ctx, columns, d_rows, true, d_v);
    SoftmaxBack(weights, scale, d_a);
    Multiply(ctx, d_a, k, false, d_q.Slice(0, first, n));
    Transpose(d_a, columns);
    Multiply(ctx, columns, q.Slice(0, first, n), true, d_k);
  }
}

// The attention of a block: x is what its norm was given. d_in += its part of the gradient, unless
// `d_in` is empty, where only `visit` is told.
void AttentionBack(Context& ctx, const VitBlock& block, const KeptAttention& kept, int layer,
                   const Tensor& x, const Tensor& d_out, const Tensor& d_in,
                   const std::function<void(const AttentionGradient&)>& visit) {
  const int64_t n = x.shape[0], c = x.shape[1], d = block.site.head_dim;
  HostTensor heads_storage, all_storage, normed_storage;
  const Tensor d_heads = F32(heads_storage, {n, c});
  LinearBack(ctx, block.out, d_out, false, d_heads);
  const Tensor all = d_in.Empty() ? Tensor{} : F32(all_storage, {n, 3 * c});
  for (int head = 0; head < block.site.heads; ++head) {
    const auto part = [&](int64_t which) {
      return all.Empty() ? Tensor{} : all.Slice(1, which * c + head * d, d);
    };
    HeadBack(ctx, kept, layer, head, d_heads.Slice(1, head * d, d), part(0), part(1), part(2),
             visit);
  }
  if (d_in.Empty()) return;
  const Tensor d_normed = F32(normed_storage, {n, c});
  if (!block.qkv.w.Empty()) {
    LinearBack(ctx, block.qkv, all, false, d_normed);
  } else {
    LinearBack(ctx, block.query, all.Slice(1, 0, c), false, d_normed);
    LinearBack(ctx, block.key, all.Slice(1, c, c), true, d_normed);
    LinearBack(ctx, block.value, all.Slice(1, 2 * c, c), true, d_normed);
  }
  NormBack(block.norm1, x, d_normed, d_in);
}

// From the pooled output to the last block's: hidden, d_hidden (t,c), the latter 0 before.
void HeadsBack(Context& ctx, const VisionTransformer& model, const Tensor& hidden,
               std::span<const float> d_pooled, const Tensor& d_hidden) {
  const VitModules& modules = model.Modules();
  const auto outputs = static_cast<int64_t>(d_pooled.size());
  HostTensor pooled({1, outputs}, DType::kF32), state_storage;
  std::copy(d_pooled.begin(), d_pooled.end(), pooled.Data<float>());
  const auto token = [&](int64_t at, const Weight& head) {
    Tensor d_state = pooled.View();
    if (!head.w.Empty()) {
      d_state = F32(state_storage, {1, hidden.shape[1]});
      LinearBack(ctx, head, pooled.View(), false, d_state);
    }
    NormBack(modules.norm, hidden.Slice(0, at, 1), d_state, d_hidden.Slice(0, at, 1));
  };
  token(0, modules.head);
  if (model.Traits().head == VitHead::kTwoClassifiers) token(1, modules.second_head);
}

}  // namespace

void VitTape::Attended(Context& ctx, const AttentionCall& call) {
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::kUnsupported,
                call.site.path + ": " + what +
                    ", which gradients are not taken through; leave that layer dense");
  };
  for (const AttentionPart& part : call.parts) {
    const std::string refusal(part.prepared->NotPlainSoftmax());
    if (!refusal.empty()) refuse(part.op->Text() + " " + refusal);
    if (!part.mix.empty() || part.stand_in) refuse("has perturbed heads");
  }
  ENSURE(call.spec.dtype == DType::kF32, call.site.path);
  layers_.push_back(
      std::make_unique<KeptAttention>(ctx, call, KeepOptions{.samples = 1, .values = true}));
  const Tensor& out = call.io.out;  // (b,t,heads,d)
  HostTensor copy({out.shape[1], out.shape[2] * out.shape[3]}, DType::kF32);
  ops::Copy(ctx, out.Slice(0, 0, 1),
            copy.View().Reshape({1, out.shape[1], out.shape[2], out.shape[3]}));
  outputs_.push_back(std::move(copy));
}

void DifferentiateVit(Context& ctx, const VisionTransformer& model,
                      std::span<const Tensor> hidden_states, const VitTape& tape,
                      std::span<const float> d_pooled,
                      const std::function<void(const AttentionGradient&)>& visit) {
  TRACE_ZONE("vit gradient");
  const std::vector<VitBlock>& blocks = model.Modules().blocks;
  ENSURE(hidden_states.size() == blocks.size() + 1 && tape.Layers().size() == blocks.size());
  ENSURE(ctx.dtype == DType::kF32);
  ENSURE(static_cast<int64_t>(d_pooled.size()) == model.Columns() && !d_pooled.empty());
  HostTensor hidden_storage, between_storage;
  const Tensor d_hidden = F32(hidden_storage, hidden_states.back().shape);  // (t,c)
  const Tensor between = F32(between_storage, d_hidden.shape);
  HeadsBack(ctx, model, hidden_states.back(), d_pooled, d_hidden);
  for (size_t i = blocks.size(); i-- > 0;) {
    if (ctx.Cancelled()) return;
    const Tensor& x = hidden_states[i];
    ops::Linear(ctx, tape.Output(i).View(), blocks[i].out, between, {.residual = &x});
    // Residuals hand the gradient on as it is; what goes through the layers is added.
    HostTensor out_storage;
    const Tensor d_out = F32(out_storage, d_hidden.shape);
    ops::Copy(ctx, d_hidden, d_out);
    MlpBack(ctx, blocks[i], between, d_out, d_hidden);
    ops::Copy(ctx, d_hidden, d_out);
    AttentionBack(ctx, blocks[i], *tape.Layers()[i], static_cast<int>(i), x, d_out,
                  i > 0 ? d_hidden : Tensor{}, visit);
  }
}

}  // namespace fovea
