#include "models/vit/vit_block.h"

#include <cmath>
#include <cstring>
#include <string>

#include "tensor/ops/activation.h"
#include "tensor/ops/product/linear.h"

namespace fovea {
namespace {

// Rows [first, first + count) of a layer, as a layer.
Weight RowsOf(const Weight& weight, int64_t first, int64_t count) {
  Weight rows = weight;
  rows.w = weight.w.Slice(0, first, count);
  rows.bias = weight.bias.Slice(0, first, count);
  rows.packed = std::make_shared<std::unique_ptr<PackedWeight>>();
  rows.delta_row = first;
  return rows;
}

HostTensor ToF32(const Tensor& view) {
  HostTensor copy(view.shape, view.dtype);
  if (copy.Bytes() > 0) std::memcpy(copy.data(), view.data, copy.Bytes());
  return copy.ToF32();
}

}  // namespace

Weight ScaleRows(const Weight& weight, std::span<const float> factors,
                 std::vector<HostTensor>& storage) {
  HostTensor w = ToF32(weight.w), bias = ToF32(weight.bias);
  const int64_t rows = weight.Out(), columns = weight.In();
  ENSURE(static_cast<int64_t>(factors.size()) == rows && weight.delta == nullptr);
  for (int64_t row = 0; row < rows; ++row) {
    const float factor = factors[static_cast<size_t>(row)];
    for (int64_t i = 0; i < columns; ++i) w.Data<float>()[row * columns + i] *= factor;
    bias.Data<float>()[row] *= factor;
  }
  Weight out;
  out.w = w.View();
  out.bias = bias.View();
  storage.push_back(std::move(w));
  storage.push_back(std::move(bias));
  return out;
}

VitBlock VitBlock::Load(const WeightScope& scope, const VitConfig& config, int agents) {
  const VitNames& names = NamesOf(config.naming);
  const int64_t c = config.hidden, inner = config.mlp;
  VitBlock block;
  block.site.heads = config.heads;
  block.site.head_dim = static_cast<int>(c / config.heads);
  block.act = config.act;
  block.norm1 = LayerNorm::Load(scope, names.norm1, c, config.eps);
  block.norm2 = LayerNorm::Load(scope, names.norm2, c, config.eps);
  if (names.qkv != nullptr) {
    block.qkv = scope.Linear(names.qkv, c, 3 * c, config.qkv_bias);
  } else {
    block.query = scope.Linear(names.query, c, c, config.qkv_bias);
    block.key = scope.Linear(names.key, c, c, config.qkv_bias);
    block.value = scope.Linear(names.value, c, c, config.qkv_bias);
  }
  const auto load_out = [&](const char* name, const char* scale, int64_t in) {
    Weight weight = scope.Linear(name, in, c);
    if (!config.layer_scale) return weight;
    // scale * (W x + b) is one product less with the scale in W and b.
    const Tensor factors = scope.F32(scale, {c});
    return ScaleRows(weight, {factors.Data<float>(), static_cast<size_t>(c)}, block.scaled);
  };
  block.out = load_out(names.out, names.scale1, c);
  if (config.swiglu) {
    const Weight both = scope.Linear(names.gated_in, c, 2 * inner);
    block.gate = RowsOf(both, 0, inner);
    block.fc1 = RowsOf(both, inner, inner);
    block.fc2 = load_out(names.gated_out, names.scale2, inner);
  } else {
    block.fc1 = scope.Linear(names.fc1, c, inner);
    block.fc2 = load_out(names.fc2, names.scale2, inner);
  }
  if (agents > 0) {
    block.agent = std::make_unique<VitAgent>(scope.Sub(names.attention), config, agents);
    const std::string side = std::to_string(std::lround(std::sqrt(agents)));
    block.site.trained = "agent(agents=" + side + "x" + side + ")";
  }
  return block;
}

void VitBlock::Forward(Context& ctx, AttentionRuntime& attention, const TokenLayout& tokens,
                       const Tensor& hidden) const {
  ArenaScope scope(ctx.arena);
  const Tensor normed = ctx.New(hidden.shape);  // (b,t,c)
  norm1.Forward(ctx, hidden, normed);
  Attend(ctx, attention, tokens, normed, hidden);
  norm2.Forward(ctx, hidden, normed);
  Mlp(ctx, normed, hidden);
}

void VitBlock::Attend(Context& ctx, AttentionRuntime& attention, const TokenLayout& tokens,
                      const Tensor& normed, const Tensor& hidden) const {
  ArenaScope scope(ctx.arena);
  const int64_t b = normed.shape[0], t = normed.shape[1], c = normed.shape[2];
  const Tensor all = ctx.New({b, t, 3 * c});  // (b,t,3c)
  const Tensor q = all.Slice(2, 0, c), k = all.Slice(2, c, c), v = all.Slice(2, 2 * c, c);
  if (!qkv.w.Empty()) {
    ops::Linear(ctx, normed, qkv, all);
  } else {
    ops::Linear(ctx, normed, query, q);
    ops::Linear(ctx, normed, key, k);
    ops::Linear(ctx, normed, value, v);
  }
  AttentionSpec spec;
  spec.batch = static_cast<int>(b);
  spec.heads = site.heads;
  spec.head_dim = site.head_dim;
  spec.q = spec.kv = tokens;
  spec.dtype = ctx.dtype;
  spec.device = ctx.backend.Kind();
  const Shape heads{b, t, site.heads, site.head_dim};
  // `normed` has served and holds the result.
  AttentionIo io{q.Reshape(heads), k.Reshape(heads), v.Reshape(heads), normed.Reshape(heads)};
  io.hidden = hidden;
  if (agent != nullptr) io.weights = &agent->At(tokens.back().grid[1], tokens.back().grid[2]);
  attention.Attend(ctx, site, spec, io);
  ops::Linear(ctx, normed, out, hidden, {.residual = &hidden});
}

void VitBlock::Mlp(Context& ctx, const Tensor& normed, const Tensor& hidden) const {
  ArenaScope scope(ctx.arena);
  const int64_t b = normed.shape[0], t = normed.shape[1], width = fc1.Out();
  const Tensor inner = ctx.New({b, t, width});  // (b,t,mlp)
  if (gate.w.Empty()) {
    ops::Linear(ctx, normed, fc1, inner, {.act = act});
  } else {
    const Tensor both = ctx.New({b, t, 2 * width});  // (b,t,2 mlp)
    ops::Linear(ctx, normed, fc1, both.Slice(2, 0, width));
    ops::Linear(ctx, normed, gate, both.Slice(2, width, width));
    ops::GatedAct(ctx, both, Act::kSilu, inner);
  }
  ops::Linear(ctx, inner, fc2, hidden, {.residual = &hidden});
}

}  // namespace fovea
